"""A configuration, as `amadmin CONF config` of Amanda 3.5.1 prints it."""

from asyncamanda.core.amanda.config import AmandaConfig, parse_config

PRINTED = """\
# AMANDA CONFIGURATION FROM FILE '/etc/amanda/daily/amanda.conf':

ORG                   "daily"
TPCHANGER             "vtapes"
INFOFILE              "curinfo"
LOGDIR                "/var/lib/a \\"b/log"
HOLDINGDISK           one two
USETIMESTAMPS         yes

DEFINE HOLDINGDISK one {
      COMMENT   ""
      DIRECTORY "/srv/one"
      USE       512000K
}

DEFINE HOLDINGDISK two {
      DIRECTORY "/srv/two"
      USE       -102400K
}

DEFINE HOLDINGDISK unused {
      DIRECTORY "/srv/unused"
      LOGDIR "/nowhere"
}
#DEFINE DUMPTYPE NO-COMPRESS {
#      COMMENT             ""
#}

DEFINE CHANGER vtapes {
      TPCHANGER           "chg-disk:/srv/vtapes"
}

DEFINE STORAGE daily {
      TPCHANGER           "vtapes"
}

DEFINE STORAGE cloud {
      TPCHANGER           "chg-single:s3:bucket"
}

DEFINE STORAGE copy {
      TPCHANGER           "chg-disk:/mnt/copy"
}
"""


def test_values_and_definitions_are_found() -> None:
    """The holding disks that are used are named apart from those that are only defined."""
    config = parse_config(PRINTED)
    assert config.value("LOGDIR") == '/var/lib/a "b/log'
    assert config.values["HOLDINGDISK"] == ("one", "two")
    assert config.block_value("HOLDINGDISK", "two", "USE") == "-102400K"
    assert (config.value("NOTHING"), config.block_value("STORAGE", "x", "Y")) == ("", "")
    assert ("DUMPTYPE", "NO-COMPRESS") not in config.blocks


def test_virtual_tapes_are_found_by_their_changers() -> None:
    """Named, or at once; other kinds have none."""
    assert parse_config(PRINTED).find_vtapes() == ("/srv/vtapes", "/mnt/copy")
    assert parse_config('TPCHANGER "chg-robot:/dev/sg0"\n').find_vtapes() == ()
    assert parse_config(PRINTED).has_other_volumes
    assert not parse_config('TPCHANGER "chg-disk:/srv/vtapes"\n').has_other_volumes
    assert not parse_config("").has_other_volumes


def test_anything_else_is_no_configuration() -> None:
    """Never an error."""
    assert parse_config("") == AmandaConfig()
    assert parse_config("}\n{\nDEFINE {\n").find_vtapes() == ()

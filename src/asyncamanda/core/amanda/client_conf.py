"""What Amanda's own configuration of a client says, asked of Amanda's module for it.

Not of amgetconf, which comes with amanda-server: a client has amanda-common alone, and with it
Amanda::Config (seen with Debian 12's packages).
"""

ASKED = (
    "amandates",
    "gnutar_list_dir",
    "amlibexecdir",
    "GNUTAR",
    "AMANDA_DBGDIR",
    "AMANDA_TMPDIR",
)

_PROGRAM = r"""
BEGIN {
    push @INC, glob("/usr/lib/*/amanda/perl"), "/usr/lib/amanda/perl";
    # it would decode what is not asked for, and Debian's packages do not depend on it
    eval { require Encode::Locale; 1 } or $INC{"Encode/Locale.pm"} = "not there";
}
use Amanda::Config qw(:init :getconf);
use Amanda::Constants;
use Amanda::Paths;
config_init($CONFIG_INIT_CLIENT | $CONFIG_INIT_GLOBAL, undef);
my ($level, @errors) = config_errors();
die join("; ", @errors), "\n" if $level >= $CFGERR_ERRORS;
print "$_\n" for getconf($CNF_AMANDATES), getconf($CNF_GNUTAR_LIST_DIR),
    $Amanda::Paths::amlibexecdir, $Amanda::Constants::GNUTAR,
    $Amanda::Paths::AMANDA_DBGDIR, $Amanda::Paths::AMANDA_TMPDIR;
"""

ARGV = ("perl", "-e", _PROGRAM)  # prints the ASKED, a line each


def parse_client_conf(printed: str) -> dict[str, str]:
    """Return what was printed, by name; nothing where it is not all of it."""
    lines = printed.splitlines()
    if len(lines) != len(ASKED) or not all(lines):
        return {}
    return dict(zip(ASKED, lines, strict=True))

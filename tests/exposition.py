"""Prometheus' text format, read as strictly as Prometheus and its node exporter read it."""

import re

# prometheus.io/docs/instrumenting/exposition_formats: lines end with \n only
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
_HEAD = re.compile(rf"# (HELP|TYPE) ({_NAME}) ([^\n]+)")
_SAMPLE = re.compile(
    rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? "
    r"([-+]?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)"
)
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Labels = tuple[tuple[str, str], ...]
Samples = dict[tuple[str, Labels], float]


def parse_exposition(text: str) -> Samples:
    """Return each sample by its metric and labels; refuse what Prometheus would."""
    assert text.endswith("\n")
    text.encode("utf-8")
    samples: Samples = {}
    metric = ""
    heads: list[str] = []
    seen: set[str] = set()
    for line in text.removesuffix("\n").split("\n"):
        if head := _HEAD.fullmatch(line):
            if head[1] == "HELP":
                assert head[2] not in seen, "a metric in two pieces"
                metric, heads = head[2], []
                seen.add(metric)
            assert head[2] == metric
            heads.append(head[1])
            kind = "counter" if metric.endswith("_total") else "gauge"
            assert head[1] == "HELP" or head[3] == kind
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, line
        assert (sample[1], heads) == (metric, ["HELP", "TYPE"])
        labels = tuple((name, _unescape(value)) for name, value in re.findall(_LABEL, line))
        assert len(dict(labels)) == len(labels), "a label twice"
        assert (metric, labels) not in samples, "a sample twice"
        samples[metric, labels] = float(sample[sample.re.groups])
    assert seen == {name for name, _ in samples}, "a metric without a sample"
    return samples


def _unescape(value: str) -> str:
    return re.sub(r'\\[\\"n]', lambda found: _ESCAPES[found[0]], value)

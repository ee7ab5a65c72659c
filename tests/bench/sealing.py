"""What it costs a client to encrypt its dumps, beside the same bytes without.

Amanda's pipe on the client is tar, gzip, and the program that encrypts; then the network.
"""

from tests.bench.agent import measure, report

from asyncamanda.core.amanda.sealing import IDENTITY, PROGRAM, RECIPIENT, SCRIPT
from lab import Lab

SIZE = 128_000_000  # bytes: half of it does not get smaller
ROUNDS = 5
IMAGE = "/srv/image"
SEALED = "/srv/image.age"


def bench_sealing(lab: Lab) -> None:
    """Print the time of an image through our program, and through gzip and our program."""
    client = lab.client
    client.write(IDENTITY, client.run(["age-keygen"]).stdout, mode=0o600)
    client.write(RECIPIENT, client.run(["age-keygen", "-y", IDENTITY]).stdout)
    client.write(PROGRAM, SCRIPT, mode=0o755)
    half = SIZE // 2
    fill = f"head -c {half} /dev/urandom; yes 'of the same words' | head -c {half}"
    client.run(["sh", "-c", f"{{ {fill}; }} >{IMAGE}; {PROGRAM} <{IMAGE} >{SEALED}"])
    pipes = [
        f"cat {IMAGE} | cat >/dev/null",
        f"cat {IMAGE} | {PROGRAM} >/dev/null",
        f"cat {IMAGE} | gzip --fast >/dev/null",
        f"cat {IMAGE} | gzip --fast | {PROGRAM} >/dev/null",
        f"cat {SEALED} | {PROGRAM} -d >/dev/null",
    ]
    plain, sealed, packed, both, opened = (
        timing.seconds for timing in measure(client, [["sh", "-c", pipe] for pipe in pipes], ROUNDS)
    )
    print(f"Encrypting {SIZE / 1e6:.0f} MB: {SIZE / sealed / 1e6:.0f} MB/s on one core")
    report("encrypted", sealed, plain, "", "cat", "s")
    report("compressed and encrypted", both, packed, "<= 1.25", "compressed alone", "s")
    report("decrypted", opened, plain, "", "cat", "s")

"""`make build`: validate the template, build all artifacts, and print their sizes."""

from __future__ import annotations

import io
import os
import re
import sys
import time
import zipfile
from pathlib import Path

from ops.tools.build import sam
from ops.tools.build.artifact import ARTIFACTS, PLATFORMS, ROOT, this_architecture
from ops.tools.build.pythons import BuildError, lambda_python

BUILT = ROOT / ".aws-sam" / "build"


def main() -> None:
    """Exit status 1 and a sentence when something is wrong."""
    architecture = os.environ.get("ARCHITECTURE") or "arm64"
    if architecture == "native":
        architecture = this_architecture()
    if architecture not in PLATFORMS:
        sys.exit(f"ARCHITECTURE must be {' or '.join(PLATFORMS)}, or native for this machine's; got {architecture!r}")
    began = time.monotonic()
    try:
        print(f"Byte code by {lambda_python()}")
        print(sam.call("validate", "--lint"))
        sam.call("build", "--parameter-overrides", f"Architecture={architecture}", ARCHITECTURE=architecture)
    except BuildError as error:
        sys.exit(str(error))
    _fix_architecture(BUILT / "template.yaml", architecture)
    for name in ARTIFACTS:
        print(f"  {name:<18} {zipped_size(BUILT / name) / 1e6:5.1f} MB zipped")
    print(f"Built for {architecture} in {time.monotonic() - began:.1f} s; deploy: sam deploy --guided")


def _fix_architecture(template: Path, architecture: str) -> None:
    """Let the built template take no other architecture: binaries of the wrong one fail only when they are run."""
    others = "|".join(other for other in PLATFORMS if other != architecture)

    def fixed(parameter: re.Match[str]) -> str:
        return re.sub(
            rf"^ +- ({others})\n", "", re.sub(r"Default: \w+", f"Default: {architecture}", parameter[0]), flags=re.M
        )

    template.write_text(re.sub(r"^  Architecture:\n(    .*\n)+", fixed, template.read_text(), count=1, flags=re.M))


def zipped_size(directory: Path) -> int:
    """Bytes of the zip that `sam deploy` makes of `directory`: deflated, each file's time 1980."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(str(file.relative_to(directory)))
            archive.writestr(info, file.read_bytes(), compress_type=zipfile.ZIP_DEFLATED)
    return zipped.getbuffer().nbytes


if __name__ == "__main__":
    main()

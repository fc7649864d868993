"""
What CloudFormation will be given: SAM's own translator over a template, as JSON on standard output.

Runs in SAM CLI's environment, where the translator is, and therefore imports nothing of this project:
`build/sam/bin/python tests/helpers/transform.py template.yaml`. A template without Transform is only read.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform


class NoManagedPolicies:
    """Templates here write their policies out; asking AWS for the list of managed ones is not needed."""

    def load(self) -> dict[str, str]:
        return {}


def main(path: str) -> None:
    template = yaml_parse(Path(path).read_text())
    if "Transform" in template:
        for resource in template["Resources"].values():
            # What `sam package` puts in the place of folders.
            for name in ("CodeUri", "ContentUri"):
                if name in resource.get("Properties", {}):
                    resource["Properties"][name] = "s3://bucket/key"
        template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
        template = transform(template, {}, NoManagedPolicies())
    json.dump(template, sys.stdout, default=str)


if __name__ == "__main__":
    main(sys.argv[1])

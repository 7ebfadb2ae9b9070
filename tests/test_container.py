"""The container image: all of the product is in it, nothing else, and it runs without rights."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = [stage.splitlines() for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]]


def test_every_package_of_the_wheel_is_copied_and_may_be() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "packages"
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for package in packages:
        assert f"COPY {package} {package}" in DOCKERFILE
        assert f"!{package}" in ignored
    assert ignored[0] == "*"


def test_who_builds_says_where_images_come_from() -> None:
    images = {stage[0].split()[0] for stage in STAGES}
    assert images == {"${PYTHON_IMAGE}", "${NODE_IMAGE}"}


def test_it_runs_as_nobody_in_particular_and_holds_no_tools() -> None:
    last = STAGES[-1]
    (user,) = [line.split()[1] for line in last if line.startswith("USER ")]
    assert int(user.partition(":")[0]) > 0
    assert [line for line in last if line.startswith("COPY")] == ["COPY --from=wheel /opt/gateway /opt/gateway"]
    assert not any("pip" in line for line in last)


def test_dependencies_are_installed_by_their_hashes() -> None:
    installs = [line for line in DOCKERFILE.splitlines() if "pip install" in line and "/wheel/" not in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)

"""A control plane for the tests of the lab. They are skipped, with the reason, where the lab's programs are not built."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from model_factory.access.client import ClusterClient
from model_factory.local.errors import LabError
from model_factory.local.lab.control_plane import ControlPlane
from model_factory.local.lab.programs import Programs, programs_for

MINOR = "1.35"
NEXT_MINOR = "1.36"


@pytest.fixture(scope="module")
def session_keeps_servers() -> bool:
    return True


@pytest.fixture(scope="session")
def programs() -> Programs:
    try:
        return programs_for(MINOR)
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def next_minor(programs: Programs) -> str:
    """The minor after `MINOR`, where its programs are built."""
    try:
        programs_for(NEXT_MINOR)
    except LabError as error:
        pytest.skip(str(error))
    return NEXT_MINOR


@pytest.fixture(scope="session")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One that all tests share: each keeps to namespaces and names of its own."""
    plane = ControlPlane(tmp_path_factory.mktemp("lab") / "shared", lambda _minor: programs)
    try:
        plane.ensure(MINOR)
        yield plane
    finally:
        plane.remove()


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Iterator[ClusterClient]:
    """The shared cluster, as its administrator."""
    client = ClusterClient.of(str(control_plane.admin_kubeconfig))
    yield client
    client.close()


@pytest.fixture
def own_plane(programs: Programs, tmp_path: Path) -> Iterator[ControlPlane]:
    """One of the test's own, not made yet: to be stopped, killed and removed."""
    plane = ControlPlane(tmp_path / "own", lambda _minor: programs)
    try:
        yield plane
    finally:
        plane.remove()

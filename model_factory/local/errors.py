"""What can go wrong in what needs no account, drawn in one place. The text of each is what the user reads.

LocalError
├─ EngineError          a run of the local engine: see `model_factory.local.engine.errors`
├─ ProviderError        a call of a local provider: see `model_factory.local.providers.errors`
├─ ServerError          the providers' server for the Pulumi CLI did not start
├─ LocalCloudError      a local cloud cannot be started, reached or told
│  ├─ PortBusyError     … something else listens on its port
│  └─ NotRunningError   … it does not run
├─ LeavesLoopbackError  a connection led to another machine; nothing was sent
├─ LabError             the lab's real Kubernetes: something of it cannot be built, started, reached or taken away
│  ├─ ProgramsMissingError  … its programs are not built yet
│  └─ BuildError            … and cannot be
├─ ControlError         a control call (faults, latency, seeds) that makes no sense
└─ CloudDataError       what a local cloud has stored cannot be used

Errors that a local cloud answers with in a cloud's own words (`AwsError`, `ApiError`, `ClusterError`) are answers, not failures, and stand apart.
"""

from __future__ import annotations


class LocalError(Exception):
    """The base: a failure of the local engine, its providers or the local clouds."""


class ServerError(LocalError):
    """The server did not start; with the end of its log."""


class LocalCloudError(LocalError):
    """A local cloud could not be started, reached or told: which one, why, and what to do."""


class PortBusyError(LocalCloudError):
    """Something else listens on the cloud's port."""


class NotRunningError(LocalCloudError):
    """The cloud does not run."""


class LeavesLoopbackError(LocalError):
    """A connection led to another machine than this: which, and what to do. Nothing was sent."""


class LabError(LocalError):
    """Something of the lab cannot be built, started, reached or taken away: what, why, and what to do."""


class ProgramsMissingError(LabError):
    """The lab's programs are not built; with how to build them."""


class BuildError(LabError):
    """The lab's programs cannot be built here: what is missing or failed, and the remedy."""


class ControlError(LocalError):
    """A control call that cannot be done: what is wrong with it, in one sentence. Answered with status 400."""


class CloudDataError(LocalError):
    """What a local cloud has stored cannot be used: which file, why, what to do, and what is lost by it."""

"""The two services a Pulumi program talks to: ResourceMonitor and Engine. RPC only: requests become calls of a `Run`.

The methods are coroutines of grpc.aio servicers; a program in the same process calls the very same ones (see `launch`).
"""

# ruff: noqa: ARG002 - the methods keep the signatures that gRPC calls

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import callback_pb2, engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from model_factory.local import wire
from model_factory.local.engine.callbacks import Callbacks
from model_factory.local.engine.errors import PlanError, ResourceError, StoppedError, UnsupportedError
from model_factory.local.engine.events import EventSink, Severity
from model_factory.local.engine.goal import Goal, decoded, from_request, refuse_malformed, settle, source_position
from model_factory.local.engine.request import Deployment
from model_factory.local.engine.run import Run

STOPPED: Final = "Resource monitor has terminated, shutting down"
_FEATURES: Final = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "outputValues": resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "replaceWith": resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    "transforms": resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    "invokeTransforms": resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    # Advertised so that the refusal is ours, by name, and not the SDK's "please update the CLI".
    "parameterization": resource_pb2.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
    "resourceHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    "errorHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
    "stateMigrations": resource_pb2.RESOURCE_MONITOR_FEATURE_STATE_MIGRATIONS,
}
_RESULTS: Final = {
    "success": resource_pb2.Result.SUCCESS,
    "failed": resource_pb2.Result.FAIL,
    "skipped": resource_pb2.Result.FAIL,
}
_SEVERITIES: Final[Mapping[int, Severity]] = {
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Where resources are registered. Answers UNAVAILABLE once the run has ended: the SDK then stops without a traceback."""

    def __init__(self, run: Run, deployment: Deployment, callbacks: Callbacks) -> None:
        self._run = run
        self._deployment = deployment
        self._root = str(deployment.program.root.resolve())
        self._callbacks = callbacks

    async def GetDeploymentInfo(self, request: Any, context: Any) -> resource_pb2.DeploymentInfo:
        asked, program = self._deployment.request, self._deployment.program
        return resource_pb2.DeploymentInfo(
            project=program.project, stack=program.stack, organization=program.organization, config=program.config,
            configSecretKeys=sorted(program.secret_keys), dryRun=asked.previews, parallel=asked.parallel,
            supportedFeatures=list(_FEATURES.values()),
        )  # fmt: skip

    async def SupportsFeature(self, request: Any, context: Any) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _FEATURES)

    async def RegisterResource(
        self, request: resource_pb2.RegisterResourceRequest, context: Any
    ) -> resource_pb2.RegisterResourceResponse:
        try:
            goal = self._run.inherited(from_request(request, self._root))
            own = list(request.transforms)
            goal, changed = await self._callbacks.transform(goal, own, self._run.parents(goal.parent))
            goal = settle(goal, rebuild=changed)
            registered = await self._run.register(goal)
        except (ResourceError, ValueError) as error:
            return await self._refuse(context, error)
        except StoppedError:
            return await _stopped(context)
        state = registered.state
        self._callbacks.remember(state.urn, own)
        known = registered.result == "success"
        return resource_pb2.RegisterResourceResponse(
            urn=state.urn, id=state.id, result=_RESULTS[registered.result],
            # A component's outputs come with RegisterResourceOutputs: those of an earlier run may name what is gone.
            object=self._encode(state.outputs, request) if state.custom and known else None,
        )  # fmt: skip

    async def RegisterResourceOutputs(
        self, request: resource_pb2.RegisterResourceOutputsRequest, context: Any
    ) -> empty_pb2.Empty:
        try:
            await self._run.register_outputs(request.urn, decoded(request.outputs, self._root, request.urn))
        except ResourceError as error:
            await self._refuse(context, error)
        except StoppedError:
            await _stopped(context)
        return empty_pb2.Empty()

    async def ReadResource(
        self, request: resource_pb2.ReadResourceRequest, context: Any
    ) -> resource_pb2.ReadResourceResponse:
        try:
            if request.packageRef:
                raise UnsupportedError(f"parameterised packages ({request.type} {request.name!r})")
            refuse_malformed(request.version, request.name, request.type)
            goal = Goal(
                type=request.type, name=request.name, custom=True, parent=request.parent,
                inputs=decoded(request.properties, self._root, request.name), dependencies=tuple(request.dependencies),
                provider=request.provider, version=request.version,
                additional_secret_outputs=tuple(request.additionalSecretOutputs),
                source_position=source_position(request, self._root),
            )  # fmt: skip
            goal = replace(settle(goal, rebuild=False), provider=goal.provider or self._run.inherited(goal).provider)
            state = await self._run.read(goal, request.id)
        except (ResourceError, ValueError) as error:
            return await self._refuse(context, error)
        except StoppedError:
            return await _stopped(context)
        return resource_pb2.ReadResourceResponse(
            urn=state.urn, id=state.id, properties=self._encode(state.outputs, request)
        )

    async def Invoke(
        self, request: resource_pb2.ResourceInvokeRequest, context: Any
    ) -> resource_pb2.ResourceInvokeResponse:
        token = request.tok
        try:
            if request.packageRef:
                raise UnsupportedError(f"parameterised packages (function {token})")
            args = wire.decode(request.args)
            args, provider, version = await self._callbacks.transform_invoke(
                token, args, request.provider, request.version, request.pluginDownloadURL
            )
            refuse_malformed(version, f"function {token}")
            outputs, failures = await self._run.invoke(token, args, provider, version)
        except (UnsupportedError, PlanError) as error:
            return await self._refuse(context, error)
        except ResourceError as error:
            return await context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {token} returned an error: {error}")
        except StoppedError:
            return await _stopped(context)
        keep = request.acceptResources or token == "pulumi:pulumi:getResource"  # noqa: S105 - a function's name
        fields: dict[str, Any] = {"return": wire.encode(outputs, keep_outputs=False, keep_resources=keep)}
        fields["failures"] = [{"property": failure.property, "reason": failure.reason} for failure in failures]
        return resource_pb2.ResourceInvokeResponse(**fields)

    async def RegisterStackTransform(self, request: callback_pb2.Callback, context: Any) -> empty_pb2.Empty:
        self._callbacks.add_stack_transform(request)
        return empty_pb2.Empty()

    async def RegisterStackInvokeTransform(self, request: callback_pb2.Callback, context: Any) -> empty_pb2.Empty:
        self._callbacks.add_invoke_transform(request)
        return empty_pb2.Empty()

    async def SignalAndWaitForShutdown(self, request: Any, context: Any) -> empty_pb2.Empty:
        """There are no hooks to serve, so the program need not wait: deletions begin when it has ended well."""
        return empty_pb2.Empty()

    async def Call(self, request: resource_pb2.ResourceCallRequest, context: Any) -> Any:
        return await self._refuse(context, UnsupportedError(f"calls of resource methods ({request.tok})"))

    async def RegisterResourceHook(self, request: resource_pb2.RegisterResourceHookRequest, context: Any) -> Any:
        return await self._refuse(context, UnsupportedError(f"resource hooks ({request.name})"))

    async def RegisterErrorHook(self, request: resource_pb2.RegisterErrorHookRequest, context: Any) -> Any:
        return await self._refuse(context, UnsupportedError(f"error hooks ({request.name})"))

    async def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest, context: Any) -> Any:
        return await self._refuse(context, UnsupportedError(f"parameterised packages ({request.name})"))

    async def _refuse(self, context: Any, error: Exception) -> Any:
        self._run.executor.fail("", str(error))
        return await _stopped(context)

    @staticmethod
    def _encode(outputs: wire.Properties, request: Any) -> Any:
        return wire.encode(
            outputs,
            keep_secrets=request.acceptSecrets,
            keep_outputs=False,
            keep_resources=request.acceptResources,
        )


class EngineService(engine_pb2_grpc.EngineServicer):
    """Where a program's messages go."""

    def __init__(self, run: Run, sink: EventSink) -> None:
        self._run = run
        self._sink = sink
        self.last_error = ""

    async def Log(self, request: engine_pb2.LogRequest, context: Any) -> empty_pb2.Empty:
        severity = _SEVERITIES.get(request.severity)
        # A program that is told to stop says so; the reason has been reported already.
        if severity is not None and not (self._run.executor.stopped and request.message == STOPPED):
            if severity == "error":
                self.last_error = request.message
            self._sink.diagnostic(severity, request.message, request.urn, ephemeral=request.ephemeral)
        return empty_pb2.Empty()

    async def RequirePulumiVersion(self, request: Any, context: Any) -> engine_pb2.RequirePulumiVersionResponse:
        """The SDK's own version rules here; there is no CLI whose version could be too old."""
        return engine_pb2.RequirePulumiVersionResponse()


async def _stopped(context: Any) -> Any:
    return await context.abort(grpc.StatusCode.UNAVAILABLE, STOPPED)

"""Starts moto for the local cloud, and fills the gaps of its state machine engine.

Nothing in site-packages is changed: what moto 5.2.5 does otherwise than AWS is replaced here, at run time.
The port is printed on standard output. The end of standard input ends the process, so it never outlives its parent.
"""

import datetime
import functools
import json
import os
import sys
import threading
import time
import types

import boto3
import botocore.session
from botocore.config import Config
from werkzeug.serving import make_server

from moto.core.config import default_user_config
from moto.core.responses import ActionResult
from moto.dynamodb import responses as dynamodb_responses
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.stepfunctions import responses as sfn_responses
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.component.common.error_name import custom_error_name
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import (
    iteration_worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import (
    branches_decl,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import (
    lambda_eval_utils,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_batch,
    state_task_service_callback,
)
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import (
    wait_function,
)
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
from moto.stepfunctions.parser.backend import execution as execution_module
from moto.stepfunctions.parser.backend import execution_worker

GATEWAY = os.environ["LOCAL_CLOUD_GATEWAY"]
WAIT_SCALE = float(os.environ["LOCAL_CLOUD_WAIT_SCALE"])


def replace_everywhere(old, new):
    """Replaces a function in every module that imported it by name, but not here, where the old one is still called."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names is globals():
            continue
        for name, value in list(names.items()):
            if value is old:
                setattr(module, name, new)


# ---- JSONPath: a definite path gives its value, also behind an index; moto gives a list of one.

moto_extract_json = json_path.extract_json


def extract_json(path, data):
    value = moto_extract_json(path, data)
    definite = not any(mark in path for mark in ("*", "?", "..", ":", ","))
    if definite and isinstance(value, list):
        matches = json_path.parse(path).find(data)
        if len(matches) == 1:
            return matches[0].value
    return value


replace_everywhere(moto_extract_json, extract_json)


# ---- The context object: StartTime is text.

moto_environment = execution_worker.ExecutionWorker._get_evaluation_environment


def evaluation_environment(self):
    details = self._evaluation_details.execution_details
    start = details.start_time
    if isinstance(start, datetime.datetime):
        text = start.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
        details.start_time = text.replace("+00:00", "Z")
    return moto_environment(self)


execution_worker.ExecutionWorker._get_evaluation_environment = evaluation_environment


# ---- Time: waits and retry intervals pass faster.

moto_wait_interval = wait_function.WaitFunction._wait_interval


def wait_interval(self, env, wait_seconds):
    deadline = time.monotonic() + wait_seconds * WAIT_SCALE
    # In small steps, because moto's wake-up can come before somebody waits for it.
    while env.is_running() and (left := deadline - time.monotonic()) > 0:
        env.program_state_event.wait(min(left, 0.1))


wait_function.WaitFunction._wait_interval = wait_interval
retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * WAIT_SCALE))
state_task_service_callback._DELAY_SECONDS_SYNC_CONDITION_CHECK = 0.1


# ---- Calls of the engine: to the gateway, by clients that are made once.


@functools.cache
def client(region, service):
    seconds = 99_999_999
    return boto3.client(
        service,
        region_name=region,
        aws_access_key_id="ak",
        aws_secret_access_key="sk",
        endpoint_url=GATEWAY,
        config=Config(
            parameter_validation=False,
            retries={"max_attempts": 0, "total_max_attempts": 1},
            connect_timeout=seconds,
            read_timeout=seconds,
            max_pool_connections=64,
        ),
    )


client_lock = threading.Lock()


def boto_client_for(region, service, state_credentials=None):
    with client_lock:
        return client(region, service)


replace_everywhere(boto_client.boto_client_for, boto_client_for)


# ---- Batch: PascalCase in both directions, and jobs that end with their state.


@functools.cache
def operation_model(service, action):
    name = "".join(word[:1].upper() + word[1:] for word in action.split("_"))
    return botocore.session.get_session().get_service_model(service).operation_model(name)


Batch = state_task_service_batch.StateTaskServiceBatch


def normalise_parameters(self, parameters, boto_service_name=None, service_action_name=None):
    service = self._get_boto_service_name(boto_service_name)
    action = self._get_boto_service_action(service_action_name)
    self._to_boto_request(parameters, operation_model(service, action).input_shape)


def normalise_response(self, response, boto_service_name=None, service_action_name=None):
    service = self._get_boto_service_name(boto_service_name)
    action = self._get_boto_service_action(service_action_name)
    self._from_boto_response(response, operation_model(service, action).output_shape)


moto_build_sync_resolver = Batch._build_sync_resolver
moto_eval_sync = Batch._eval_sync


def build_sync_resolver(self, env, resource_runtime_part, normalised_parameters, state_credentials):
    job_id = env.stack[-1]["JobId"]
    resolver = moto_build_sync_resolver(
        self, env, resource_runtime_part, normalised_parameters, state_credentials
    )
    resolver.job_id, resolver.region = job_id, resource_runtime_part.region
    return resolver


def eval_sync(self, env, sync_resolver, **kwargs):
    outcome = moto_eval_sync(self, env=env, sync_resolver=sync_resolver, **kwargs)
    if outcome is None:
        # The state was left before the job ended: an abort, a timeout, or another branch that failed.
        boto_client_for(sync_resolver.region, "batch").terminate_job(
            jobId=sync_resolver.job_id, reason="Terminated by AWS Step Functions"
        )
    return outcome


Batch._normalise_parameters = normalise_parameters
Batch._normalise_response = normalise_response
Batch._build_sync_resolver = build_sync_resolver
Batch._eval_sync = eval_sync


# ---- Errors that pass a Parallel, a Map or a Fail keep names of the States.* kind; moto refuses them there.

moto_custom_error_name = custom_error_name.CustomErrorName


def error_name(error_name=None):
    for kind in StatesErrorNameType:
        if kind.to_name() == error_name:
            return StatesErrorName(typ=kind)
    return moto_custom_error_name(error_name=error_name)


for module in (branches_decl, iteration_worker, state_fail):
    module.CustomErrorName = error_name


# ---- Lambda: an error whose payload is not an object, or names no type, is still an error.

moto_function_error = lambda_eval_utils.LambdaFunctionErrorException.__init__


def function_error(self, error, payload):
    try:
        value = json.loads(payload)
    except ValueError:
        value = payload
    if not isinstance(value, dict):
        value = {"errorMessage": str(value)}
    value.setdefault("errorType", error or "Unhandled")
    moto_function_error(self, error, json.dumps(value, separators=(",", ":")))


lambda_eval_utils.LambdaFunctionErrorException.__init__ = function_error


# ---- Ends of executions: stopping works at once and keeps error and cause; a timeout has an end date.


def stop(self, stop_date, error, cause):
    if self.exec_status != ExecutionStatus.RUNNING:
        return
    self.exec_status = ExecutionStatus.ABORTED
    self.stop_date = stop_date
    self.error = error or None
    self.cause = cause or None
    worker = self.exec_worker
    while worker is not None and (worker.env is None or worker.env.program_state() is None):
        time.sleep(0.005)
    if worker is not None:
        worker.stop(stop_date=stop_date, error=error, cause=cause)


moto_terminated = execution_module.BaseExecutionWorkerCommunication.terminated


def terminated(self):
    if self.execution.exec_status == ExecutionStatus.RUNNING:
        moto_terminated(self)


execution_module.Execution.stop = stop
execution_module.BaseExecutionWorkerCommunication.terminated = terminated


def stop_execution(self):
    arn = self._get_param("executionArn")
    execution = self.stepfunction_backend.describe_execution(arn)
    execution.stop(
        stop_date=datetime.datetime.now(tz=datetime.timezone.utc),
        error=self._get_param("error"),
        cause=self._get_param("cause"),
    )
    return ActionResult({"stopDate": execution.stop_date})


moto_describe_execution = sfn_responses.StepFunctionResponse.describe_execution


def describe_execution(self):
    result = moto_describe_execution(self)
    arn = self._get_param("executionArn")
    execution = self.stepfunction_backend.describe_execution(arn)
    if execution.stop_date is not None:
        result._result["stopDate"] = execution.stop_date
    return result


sfn_responses.StepFunctionResponse.stop_execution = stop_execution
sfn_responses.StepFunctionResponse.describe_execution = describe_execution


# ---- DynamoDB: a restored table has the billing mode of its backup, and what the request wants otherwise.

DynamoHandler = dynamodb_responses.DynamoHandler
moto_restore_table_from_backup = DynamoHandler.restore_table_from_backup


def restore_table_from_backup(self):
    moto_restore_table_from_backup(self)
    body = self.body
    backend = self.dynamodb_backend
    table = backend.tables[body["TargetTableName"]]
    source = backend.backups[body["BackupArn"]].table
    table.billing_mode = body.get("BillingModeOverride") or source.billing_mode
    table.sse_specification = body.get("SSESpecificationOverride") or source.sse_specification
    if (throughput := body.get("ProvisionedThroughputOverride")) is not None:
        table.throughput = {**throughput, "NumberOfDecreasesToday": 0}
    for field, override in (
        ("global_indexes", "GlobalSecondaryIndexOverride"),
        ("indexes", "LocalSecondaryIndexOverride"),
    ):
        if (wanted := body.get(override)) is not None:
            names = {index["IndexName"] for index in wanted}
            setattr(table, field, [index for index in getattr(table, field) if index.name in names])
    return dynamodb_responses.DynamoResult(table.describe())


DynamoHandler.restore_table_from_backup = restore_table_from_backup


# ---- The server.


class Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args, **kwargs):
        """Requests are logged by the gateway."""


def main():
    default_user_config["stepfunctions"]["execute_state_machine"] = True
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()

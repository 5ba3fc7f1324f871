"""The messages of A2A 1.0 (`a2a.proto`, package lf.a2a.v1), as far as they travel over HTTP."""

from dataclasses import dataclass
from typing import Final

from ostiary.protocols.a2a.kinds import (
    Field,
    Shape,
    anything,
    binary,
    flag,
    identifier,
    items,
    mapping,
    number,
    struct,
    text,
    timestamp,
    word,
)

STATES: Final = (
    "TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_REJECTED", "TASK_STATE_AUTH_REQUIRED",
)  # fmt: skip
TERMINAL: Final = frozenset({"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"})
"""A task in one of these never changes again."""

_METADATA = Field("metadata", struct)
_TENANT = Field("tenant", identifier)

PART = Shape(
    "Part",
    (
        Field("text", text, one_of=True),
        Field("raw", binary, one_of=True),
        Field("url", text, one_of=True),
        Field("data", anything, one_of=True),
        _METADATA,
        Field("filename", text),
        Field("mediaType", text),
    ),
    demands_one=True,
)
MESSAGE = Shape(
    "Message",
    (
        Field("messageId", identifier, required=True),
        Field("contextId", identifier),
        Field("taskId", identifier),
        Field("role", word("ROLE_USER", "ROLE_AGENT"), required=True),
        Field("parts", items(PART), required=True),
        _METADATA,
        Field("extensions", items(text)),
        Field("referenceTaskIds", items(identifier)),
    ),
)
STATUS = Shape(
    "TaskStatus",
    (
        Field("state", word("TASK_STATE_UNSPECIFIED", *STATES), required=True),
        Field("message", MESSAGE),
        Field("timestamp", timestamp),
    ),
)
ARTIFACT = Shape(
    "Artifact",
    (
        Field("artifactId", identifier, required=True),
        Field("name", text),
        Field("description", text),
        Field("parts", items(PART), required=True),
        _METADATA,
        Field("extensions", items(text)),
    ),
)
TASK = Shape(
    "Task",
    (
        Field("id", identifier, required=True),
        Field("contextId", identifier),
        Field("status", STATUS, required=True),
        Field("artifacts", items(ARTIFACT)),
        Field("history", items(MESSAGE)),
        _METADATA,
    ),
)
STATUS_UPDATE = Shape(
    "TaskStatusUpdateEvent",
    (
        Field("taskId", identifier, required=True),
        Field("contextId", identifier, required=True),
        Field("status", STATUS, required=True),
        _METADATA,
    ),
)
ARTIFACT_UPDATE = Shape(
    "TaskArtifactUpdateEvent",
    (
        Field("taskId", identifier, required=True),
        Field("contextId", identifier, required=True),
        Field("artifact", ARTIFACT, required=True),
        Field("append", flag),
        Field("lastChunk", flag),
        _METADATA,
    ),
)
STREAM_RESPONSE = Shape(
    "StreamResponse",
    (
        Field("task", TASK, one_of=True),
        Field("message", MESSAGE, one_of=True),
        Field("statusUpdate", STATUS_UPDATE, one_of=True),
        Field("artifactUpdate", ARTIFACT_UPDATE, one_of=True),
    ),
    demands_one=True,
)
SEND_RESPONSE = Shape("SendMessageResponse", (Field("task", TASK, one_of=True), Field("message", MESSAGE, one_of=True)), demands_one=True)
AUTHENTICATION = Shape("AuthenticationInfo", (Field("scheme", text, required=True), Field("credentials", text)))
PUSH_CONFIG = Shape(
    "TaskPushNotificationConfig",
    (
        _TENANT,
        Field("id", identifier),
        Field("taskId", identifier),
        Field("url", text, required=True),
        Field("token", text),
        Field("authentication", AUTHENTICATION),
    ),
)
CONFIGURATION = Shape(
    "SendMessageConfiguration",
    (
        Field("acceptedOutputModes", items(text)),
        Field("taskPushNotificationConfig", PUSH_CONFIG),
        Field("historyLength", number, optional=True),
        Field("returnImmediately", flag),
    ),
)
SEND = Shape("SendMessageRequest", (_TENANT, Field("message", MESSAGE, required=True), Field("configuration", CONFIGURATION), _METADATA))
GET_TASK = Shape("GetTaskRequest", (_TENANT, Field("id", identifier, required=True), Field("historyLength", number, optional=True)))
LIST_TASKS = Shape(
    "ListTasksRequest",
    (
        _TENANT,
        Field("contextId", identifier),
        Field("status", word(*STATES)),
        Field("pageSize", number, optional=True),
        Field("pageToken", identifier),
        Field("historyLength", number, optional=True),
        Field("statusTimestampAfter", timestamp),
        Field("includeArtifacts", flag, optional=True),
    ),
)
LIST_TASKS_RESPONSE = Shape(
    "ListTasksResponse",
    (
        Field("tasks", items(TASK), required=True),
        Field("nextPageToken", identifier, required=True),
        Field("pageSize", number, required=True),
        Field("totalSize", number, required=True),
    ),
)
CANCEL_TASK = Shape("CancelTaskRequest", (_TENANT, Field("id", identifier, required=True), _METADATA))
ONE_TASK = Shape("SubscribeToTaskRequest", (_TENANT, Field("id", identifier, required=True)))
ONE_CONFIG = Shape(
    "GetTaskPushNotificationConfigRequest",
    (_TENANT, Field("taskId", identifier, required=True), Field("id", identifier, required=True)),
)
CREATE_CONFIG = Shape(
    "TaskPushNotificationConfig",
    (
        _TENANT,
        Field("id", identifier),
        Field("taskId", identifier, required=True),
        Field("url", text, required=True),
        Field("token", text),
        Field("authentication", AUTHENTICATION),
    ),
)
LIST_CONFIGS = Shape(
    "ListTaskPushNotificationConfigsRequest",
    (_TENANT, Field("taskId", identifier, required=True), Field("pageSize", number), Field("pageToken", identifier)),
)
EMPTY = Shape("GetExtendedAgentCardRequest", (_TENANT,))


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the protocol (section 5.3), by its JSON-RPC method name."""

    name: str
    request: Shape
    is_streaming: bool = False


OPERATIONS: Final = {
    each.name: each
    for each in (
        Operation("SendMessage", SEND),
        Operation("SendStreamingMessage", SEND, is_streaming=True),
        Operation("GetTask", GET_TASK),
        Operation("ListTasks", LIST_TASKS),
        Operation("CancelTask", CANCEL_TASK),
        Operation("SubscribeToTask", ONE_TASK, is_streaming=True),
        Operation("CreateTaskPushNotificationConfig", CREATE_CONFIG),
        Operation("GetTaskPushNotificationConfig", ONE_CONFIG),
        Operation("ListTaskPushNotificationConfigs", LIST_CONFIGS),
        Operation("DeleteTaskPushNotificationConfig", ONE_CONFIG),
        Operation("GetExtendedAgentCard", EMPTY),
    )
}

_LIST = Shape("StringList", (Field("list", items(text)),))
_REQUIREMENT = Shape("SecurityRequirement", (Field("schemes", mapping(_LIST)),))
EXTENSION = Shape("AgentExtension", (Field("uri", text), Field("description", text), Field("required", flag), Field("params", struct)))
CAPABILITIES = Shape(
    "AgentCapabilities",
    (
        Field("streaming", flag, optional=True),
        Field("pushNotifications", flag, optional=True),
        Field("extensions", items(EXTENSION)),
        Field("extendedAgentCard", flag, optional=True),
    ),
)
INTERFACE = Shape(
    "AgentInterface",
    (
        Field("url", text, required=True),
        Field("protocolBinding", text, required=True),
        _TENANT,
        Field("protocolVersion", text, required=True),
    ),
)
SKILL = Shape(
    "AgentSkill",
    (
        Field("id", text, required=True),
        Field("name", text, required=True),
        Field("description", text, required=True),
        Field("tags", items(text), required=True),
        Field("examples", items(text)),
        Field("inputModes", items(text)),
        Field("outputModes", items(text)),
        Field("securityRequirements", items(_REQUIREMENT)),
    ),
)
SIGNATURE = Shape(
    "AgentCardSignature", (Field("protected", text, required=True), Field("signature", text, required=True), Field("header", struct))
)
PROVIDER = Shape("AgentProvider", (Field("url", text, required=True), Field("organization", text, required=True)))
CARD = Shape(
    "AgentCard",
    (
        Field("name", text, required=True),
        Field("description", text, required=True),
        Field("supportedInterfaces", items(INTERFACE), required=True),
        Field("provider", PROVIDER),
        Field("version", text, required=True),
        Field("documentationUrl", text, optional=True),
        Field("capabilities", CAPABILITIES, required=True),
        Field("securitySchemes", mapping(struct)),
        Field("securityRequirements", items(_REQUIREMENT)),
        Field("defaultInputModes", items(text), required=True),
        Field("defaultOutputModes", items(text), required=True),
        Field("skills", items(SKILL), required=True),
        Field("signatures", items(SIGNATURE)),
        Field("iconUrl", text, optional=True),
    ),
)

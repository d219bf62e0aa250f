from hoopx.plugin import ProtocolRecorder

recorder = ProtocolRecorder(
    "raw",
    "any TCP protocol, recorded as it flows; the listener names its one target",
    conversation="hoopx.protocols.raw.conversation.RawConversation",
    view="hoopx.protocols.raw.view.RawView",
    accountSecrets=(),
    listenerPinned=True,
)

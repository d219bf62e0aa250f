from hoopx.plugin import ProtocolRecorder

recorder = ProtocolRecorder(
    "postgres",
    "PostgreSQL 3.0 and 3.2: simple and extended query, COPY, cancel, TLS",
    conversation="hoopx.protocols.postgres.conversation.PostgresConversation",
    view="hoopx.protocols.postgres.view.PostgresView",
    accountSecrets=("password", "certificate", "private_key"),
    targetOptions="hoopx.protocols.postgres.options.TargetOptions",
)

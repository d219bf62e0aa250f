from hoopx.plugin import ProtocolRecorder

recorder = ProtocolRecorder(
    "redislike",
    "Redis and what speaks like it (RESP 2)",
    conversation="acme_redislike.conversation.RedisConversation",
    view="acme_redislike.view.RedisView",
)

from hoopx.plugin import ProtocolRecorder

recorder = ProtocolRecorder(
    "redismasked",
    "Redis, with the numbers of payment cards hidden from the client",
    conversation="acme_redismasked.MaskedConversation",
    view="acme_redislike.view.RedisView",
)

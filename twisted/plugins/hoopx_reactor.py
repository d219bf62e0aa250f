from twisted.application.reactors import Reactor

hoopx = Reactor("hoopx", "hoopx.reactor", "epoll with eager writes and a lean loop, for gateways.")

"""What all parts of the story need: a place, PostgreSQL with a seeded database, Redis, Prometheus."""

import contextlib

from .monitoring import Prometheus
from .place import Place
from .postgres import Postgres
from .service import Redis, Service


class Stage(contextlib.ExitStack):
    """Everything that was started is ended in the reverse order, whatever happens."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.place = Place(options.state)
        self.callback(self.place.close)
        try:
            self.postgres = Postgres(self.place)
            # Whoever is the primary by then.
            self.callback(lambda: self.postgres.stop())
            self.redis = self.keep(Redis(self.place))
            self.prometheus = self.keep(Prometheus(self.place))
            say(f"{options.users} users get accounts, money and a past")
            self.postgres.seed(options.users)
        except BaseException:
            self.close()
            raise

    def keep(self, part):
        """Has `part` stopped at the end."""
        self.callback(part.stop)
        return part

    @contextlib.contextmanager
    def service(self, make_pooler):
        """The service on a fresh database, through the pooler that is made."""
        self.postgres.fresh()
        with contextlib.ExitStack() as stack:
            pooler = make_pooler(self.place)
            stack.callback(pooler.stop)
            service = Service(self.place, pooler, self.redis)
            # Another one may have taken its place; it must not stay behind at the same port.
            stack.callback(lambda: service.pooler.stop())
            stack.callback(service.stop)
            yield service


def say(text):
    """Tells whoever watches how far it is."""
    print(f"story: {text}", flush=True)

"""Prometheus watches pgusher, with the alert rules that come with it."""

import json
import urllib.parse

from .place import EXAMPLE
from .processes import Process, answers

RULES = EXAMPLE.parent.parent / "deploy/prometheus/rules.yml"
QUANTILE = (
    "histogram_quantile({quantile}, sum by (le) (rate(pgusher_pool_wait_seconds_bucket"
    '{{job="pgusher",database="payments"}}[5s])))'
)


class Prometheus:
    """Debian's, once a second."""

    def __init__(self, place):
        self.port = place.port["prometheus"]
        targets = ", ".join(f'"127.0.0.1:{place.port[name]}"' for name in ("pgusher1", "pgusher2"))
        file = place.state / "prometheus.yml"
        file.write_text(f"""global: {{scrape_interval: 1s, evaluation_interval: 5s}}
rule_files: ["{RULES}"]
scrape_configs:
  - job_name: pgusher
    static_configs: [{{targets: [{targets}]}}]
""")
        words = [f"--config.file={file}", f"--storage.tsdb.path={place.state}/prometheus"]
        self.process = Process(place, "prometheus", ["prometheus", *words, f"--web.listen-address=127.0.0.1:{self.port}"])
        self.process.ready(lambda: answers(f"http://127.0.0.1:{self.port}/-/ready"))

    def over(self, query, begin, end):
        """A query's values from `begin` to `end`: seconds since then, and the value."""
        words = urllib.parse.urlencode({"query": query, "start": begin, "end": end, "step": 1})
        told = json.loads(answers(f"http://127.0.0.1:{self.port}/api/v1/query_range?{words}"))
        return [
            [(float(at) - begin, float(value)) for at, value in series["values"] if value != "NaN"]
            for series in told["data"]["result"]
        ]

    def queue_time(self, begin, end):
        """The quantiles of the time transactions waited for a server."""
        quantiles = {}
        for quantile in (0.5, 0.95, 0.99):
            series = self.over(QUANTILE.format(quantile=quantile), begin, end)
            quantiles[str(quantile)] = series[0] if series else []
        return quantiles

    def stop(self):
        """Ends it."""
        self.process.stop()

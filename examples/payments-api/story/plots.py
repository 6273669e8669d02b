"""Pictures of what happened, as PNG and SVG."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402: the backend comes first

COLOURS = {"direct": "#8c8c8c", "pgbouncer": "#d08c2f", "pgusher": "#2f7fd0", "pgbouncer-as-it-is": "#b04a4a"}


def bars(folder, name, told, title):
    """Throughput, response times and errors, side by side."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4))
    ways = list(told)
    shown = [
        ("requests per second", [told[way]["per_second"] for way in ways]),
        ("response time p50 (ms)", [told[way]["all"]["p50_ms"] for way in ways]),
        ("response time p99 (ms)", [told[way]["all"]["p99_ms"] for way in ways]),
        ("errors", [told[way]["all"]["errors"] for way in ways]),
    ]
    for axis, (label, values) in zip(axes, shown):
        axis.bar(range(len(ways)), values, color=[COLOURS[way] for way in ways])
        axis.set_xticks(range(len(ways)), [way.replace("-", "\n", 1) for way in ways], fontsize=7)
        axis.set_title(label, fontsize=10)
        for place, value in enumerate(values):
            axis.text(place, value, f"{value:,.0f}", ha="center", va="bottom", fontsize=8)
        axis.set_ylim(0, max([*values, 1]) * 1.15)
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, folder, name, title)


def timeline(folder, name, told, title):
    """Answers and errors in each second."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True)
    for way, one in told.items():
        axes[0].plot([part["ok"] for part in one["timeline"]], label=way, color=COLOURS.get(way))
        axes[1].plot([part["errors"] for part in one["timeline"]], label=way, color=COLOURS.get(way))
    for axis, label in zip(axes, ("answers per second", "errors per second")):
        axis.set_ylabel(label, fontsize=9)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].set_xlabel("seconds", fontsize=9)
    _save(figure, folder, name, title)


def queue_time(folder, name, quantiles, title):
    """The time transactions waited for a server, as Prometheus has it."""
    figure, axis = plt.subplots(figsize=(7, 2.6))
    for quantile, points in quantiles.items():
        axis.plot([at for at, _ in points], [value * 1000 for _, value in points], label=f"p{float(quantile) * 100:.0f}")
    axis.set_ylabel("queue time (ms)", fontsize=9)
    axis.set_xlabel("seconds", fontsize=9)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, folder, name, title)


def _save(figure, folder, name, title):
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    for kind in ("png", "svg"):
        figure.savefig(folder / f"{name}.{kind}", dpi=90)
    plt.close(figure)

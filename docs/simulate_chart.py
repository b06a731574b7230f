#!/usr/bin/env python3
"""Draws docs/simulate.svg: switches on each recorded load, by the table alone and by Workly's policy.

    python3 docs/simulate_chart.py [path/to/workly-cli]

Needs a built workly-cli (`cargo build -p workly-cli`) and nothing but Python's own library. Prints the same figures as
a Markdown table for the README.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOOTPRINT = "performance=5100,balanced=3300"
LOADS = {
    "alone": "Workly alone",
    "own-load": "Workly always answering",
    "boundary": "others around a threshold",
    "streaming": "a stream starts and ends",
    "gaming": "a game starts and ends",
    "bursts": "short bursts",
}
POLICIES = {"table": "thresholds alone", "workly": "Workly"}

WIDTH, LABEL, RIGHT, TOP, ROW, BAR = 760, 232, 56, 62, 46, 14
STYLE = """
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
  .quiet { fill: #59636e } .title { font-size: 15px; font-weight: 600 }
  .table { fill: #b0b7bf } .workly { fill: #1f8f4e } .axis { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .table { fill: #59636e } .workly { fill: #3fb968 } .axis { stroke: #3d444d }
  }
"""


def simulate(program, load, policy):
    """The report of one simulation."""
    trace = ROOT / "tests" / "fixtures" / "traces" / f"{load}.csv"
    command = [program, "simulate", "--trace", trace, "--footprint", FOOTPRINT, "--policy", policy, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def draw(counts):
    """The chart, as SVG."""
    most = max(max(row.values()) for row in counts.values())
    scale = (WIDTH - LABEL - RIGHT) / max(most, 1)
    height = TOP + ROW * len(counts) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="Switches on each recorded load">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="0" y="18">Switches on each recorded load, 6 GB card, 7B model</text>',
    ]
    x = 0
    for policy, name in POLICIES.items():
        parts.append(f'<rect class="{policy}" x="{x}" y="32" width="12" height="12" rx="2"/>')
        parts.append(f'<text class="quiet" x="{x + 18}" y="43">{name}</text>')
        x += 150
    for index, (load, row) in enumerate(counts.items()):
        top = TOP + ROW * index
        parts.append(f'<text x="{LABEL - 12}" y="{top + BAR + 6}" text-anchor="end">{LOADS[load]}</text>')
        for offset, policy in enumerate(POLICIES):
            count, y = row[policy], top + offset * (BAR + 2)
            width = count * scale
            parts.append(f'<rect class="{policy}" x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            parts.append(f'<text class="quiet" x="{LABEL + width + 6:.1f}" y="{y + 11.5}">{count}</text>')
    parts.append(f'<line class="axis" x1="{LABEL}" x2="{LABEL}" y1="{TOP - 6}" y2="{height - 8}"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "workly-cli"
    reports = {load: {policy: simulate(program, load, policy) for policy in POLICIES} for load in LOADS}
    counts = {load: {policy: len(row[policy]["switches"]) for policy in POLICIES} for load, row in reports.items()}
    (ROOT / "docs" / "simulate.svg").write_text(draw(counts), encoding="utf-8")

    print("| load | switches, thresholds alone | switches, Workly | longest overload, thresholds alone | Workly |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for load, row in reports.items():
        longest = [f"{row[policy]['longest_overload_seconds']:.1f} s" for policy in POLICIES]
        print(f"| {LOADS[load]} | {counts[load]['table']} | {counts[load]['workly']} | {longest[0]} | {longest[1]} |")


if __name__ == "__main__":
    main()

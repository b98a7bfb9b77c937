"""table.py - what bench.py prints: rates of all contenders, then backpropd's ratios, goals, share of peak, memory."""
from workloads import WORKLOADS

TORCH_GOAL = {"w7": 200.0}  # and to the best PyTorch


def figure(cell):
    if not cell or cell.get("missing"):
        return "missing"
    if "below" in cell:
        return "<%.3g emulated" % cell["below"]
    if "median" not in cell:
        return "-"
    digits = 0 if cell["median"] >= 1000 else 1
    text = "{:,.{d}f}".format(cell["median"], d=digits)
    if cell["min"] != cell["max"]:
        text += " ({:,.{d}f}-{:,.{d}f})".format(cell["min"], cell["max"], d=digits)
    return text + (" emulated" if cell.get("emulated") else "")


def head(*names):
    print("\n| " + " | ".join(names) + " |\n|" + "---|" * len(names))


def line(*cells):
    print("| " + " | ".join(cells) + " |")


def best(row, names):
    """(rate, name) of the fastest fp32 peer among them; None when there is none."""
    rates = [(row["cells"][n]["median"], n) for n in names
             if "median" in row["cells"][n] and not row["cells"][n]["reduced"]]
    return max(rates) if rates else None


def ratio(mine, peer):
    return "%.2f" % (mine / peer[0]) if mine and peer else "-"


def scaling(rows, row):
    """This many threads to one."""
    one = [r for r in rows if r["workload"] == row["workload"] and r["threads"] == 1]
    mine = row["cells"]["backpropd"].get("median")
    if row["threads"] == 1 or not one or not mine or not one[0]["cells"]["backpropd"].get("median"):
        return "-"
    return "%.2f" % (mine / one[0]["cells"]["backpropd"]["median"])


def goal(workload):
    text = "%.1f" % WORKLOADS[workload].goal
    return text + (", %.0f PyTorch" % TORCH_GOAL[workload] if workload in TORCH_GOAL else "")


def print_ratios(rows, names, peaks):
    others = [n for n in names if n != "backpropd"]
    torch = [n for n in others if n.startswith("torch")]
    head("workload", "threads", "ratio to the best", "which", "goal", "ratio to PyTorch", "to PyTorch's bf16",
         "GFLOP/s", "of peak", "to one thread")
    for row in rows:
        mine = row["cells"]["backpropd"].get("median")
        top = best(row, others)
        bf16 = row["cells"].get("torch_bf16", {})
        reduced = (bf16["median"], "") if "median" in bf16 else None
        peak = peaks.get(row["threads"])
        share = "%.0f %%" % (100 * row["gflops"] / peak) if mine and peak else "-"
        line(row["workload"], str(row["threads"]), ratio(mine, top), top[1] if top else "-", goal(row["workload"]),
             ratio(mine, best(row, torch)), ratio(mine, reduced), "%.0f" % row.get("gflops", 0), share,
             scaling(rows, row))


def megabytes(n):
    return "%.1f" % (n / 1e6)


def print_memory(rows, names):
    torch = [n for n in names if n.startswith("torch")]
    head("workload", "threads", "MB planned", "data", "constant", "peak RSS", "share planned of peak", "PyTorch's",
         "of PyTorch's")
    for row in rows:
        mine = row["cells"]["backpropd"]
        if "rss" not in mine:
            continue
        theirs = [row["cells"][n]["rss"] for n in torch
                  if "rss" in row["cells"][n] and not row["cells"][n]["reduced"]]
        planned = row["planned"] + row["data"]
        line(row["workload"], str(row["threads"]), megabytes(row["planned"]), megabytes(row["data"]),
             megabytes(mine["rss"] - planned), megabytes(mine["rss"]), "%.1f %%" % (100 * planned / mine["rss"]),
             megabytes(min(theirs)) if theirs else "-", "%.2f" % (mine["rss"] / min(theirs)) if theirs else "-")


def print_all(rows, names, peaks, repeat):
    head("workload", "threads", *names)
    for row in rows:
        line(row["workload"], str(row["threads"]), *[figure(row["cells"].get(n)) for n in names])
    print("\nsamples/s, median (min-max) of %d turns; instruction set %s. KANN's optimizer is RMSprop." %
          (repeat, rows[0].get("isa", "?")))
    print_ratios(rows, names, peaks)
    print("\nThe best: of all fp32 columns, in this run. PyTorch: the best of its own.")
    print_memory(rows, names)
    print("\nconstant: peak RSS less plan and data, the program itself. PyTorch's: its leanest fp32 column.")

"""The tables and the plot of compare_peers.py."""


def programs_of(result, precision, with_pila=False):
    return [program for program in result["programs"].values()
            if program["precision"] == precision and (with_pila or program["peer"] != "pila")]


def timed(programs):
    return [program for program in programs if "left_out" not in program]


def fastest_peer(result, precision):
    """None when none ran."""
    return min(timed(programs_of(result, precision)), key=lambda program: program["milliseconds"]["median"],
               default=None)


def precisions_of(results):
    return list(dict.fromkeys(program["precision"] for result in results for program in result["programs"].values()))


def verdict(ratio):
    if ratio["low"] > 1:
        return "**win**"
    return "loss" if ratio["high"] < 1 else "even"


def ratio_text(ratio):
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})"


def title(result):
    return f"{result['width']} | {result['batch']} | {result['threads']}"


def against_fastest(results):
    lines = ["| width | batch | threads | precision | Pila, ms | fastest peer | its ms | ratio | |",
             "|---|---|---|---|---|---|---|---|---|"]
    for result in results:
        for precision in precisions_of(results):
            pila = result["programs"][f"pila {precision}"]
            rivals = [fastest_peer(result, precision)]
            if precision == "bfloat16":
                rivals.append(fastest_peer(result, "float32"))
            for rival in filter(None, rivals):
                cells = [title(result), precision, "", f"{rival['peer']} {rival['precision']}",
                         f"{rival['milliseconds']['median']:.2f}", "", ""]
                if "left_out" not in pila:
                    ratio = rival["ratios"][precision]
                    cells[2] = f"{pila['milliseconds']['median']:.2f}"
                    cells[5:] = [ratio_text(ratio), verdict(ratio)]
                lines.append("| " + " | ".join(cells) + " |")
    return lines


def all_peers(results, precision, cell, programs=None):
    """A row for each task, a column for each peer."""
    names = list(dict.fromkeys(program["peer"] for result in results
                               for program in timed(programs_of(result, precision, with_pila=True))))
    lines = ["| width | batch | threads | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
    for result in results:
        cells = [cell(result["programs"].get(f"{name} {precision}")) for name in names]
        lines.append(f"| {title(result)} | " + " | ".join(cells) + " |")
    return lines


def time_cell(program):
    if program is None or "left_out" in program:
        return ""
    ratio = program["ratios"].get(program["precision"]) if program["peer"] != "pila" else None
    text = f"{program['milliseconds']['median']:.2f}"
    return f"{text}: {ratio_text(ratio)} {verdict(ratio)}" if ratio else text


def memory_cell(program):
    return "" if program is None or "left_out" in program else f"{program['mebibytes']:.0f}"


def agreement_lines(results):
    """The worst of each program over all tasks."""
    lines = ["| program | difference of logits, of their deviation | same top-1 |", "|---|---|---|"]
    names = dict.fromkeys(name for result in results for name in result["programs"])
    for name in names:
        runs = timed([result["programs"][name] for result in results])
        if runs:
            images = sum(result["batch"] for result in results if "left_out" not in result["programs"][name])
            same = sum(run["same_top1"] for run in runs)
            lines.append(f"| {name} | {max(run['difference'] for run in runs):.2g} | {same} of {images} |")
    return lines


def left_out_lines(results):
    """Each reason once, with the tasks where it does not hold for all."""
    tasks = {}
    for result in results:
        for name, program in result["programs"].items():
            if "left_out" in program:
                where = f"width {result['width']}, batch {result['batch']}, {result['threads']} threads"
                tasks.setdefault((name, program["left_out"]), []).append(where)
    return [f"- {name}: {reason}" + ("" if len(where) == len(results) else f" ({'; '.join(where)})")
            for (name, reason), where in tasks.items()]


def write_tables(about, results):
    packages = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [f"# MobileNetV2 inference on {about['cpu']}, {about['size']} x {about['size']}", "",
             f"{packages}. Peers run in Python, which adds some hundredths of a millisecond. {about['rounds']} rounds; "
             "ratio: the peer's median time over Pila's (95% interval), above 1 Pila is faster; a win is an interval "
             "wholly above 1.", "", "## Against the fastest peer", "", *against_fastest(results)]
    for precision in precisions_of(results):
        lines += ["", f"## {precision}: milliseconds and ratio", "", *all_peers(results, precision, time_cell)]
    for precision in precisions_of(results):
        lines += ["", f"## {precision}: growth of the process from before loading to after warm-up, MiB", "",
                  *all_peers(results, precision, memory_cell)]
    lines += ["", "## Logits against PyTorch's float32 ones", "", *agreement_lines(results)]
    left_out = left_out_lines(results)
    if left_out:
        lines += ["", "## Left out", "", *left_out]
    return "\n".join(lines) + "\n"


def write_plot(about, results, file):
    """Milliseconds an image, a panel for each precision and number of threads."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "pila"  # the same file for the same numbers
    from matplotlib import pyplot

    threads = list(dict.fromkeys(result["threads"] for result in results))
    precisions = [precision for precision in precisions_of(results)
                  if any(timed(programs_of(result, precision, with_pila=True)) for result in results)]
    names = list(dict.fromkeys(program["peer"] for result in results for program in result["programs"].values()))
    figure, axes = pyplot.subplots(len(precisions), len(threads), squeeze=False, layout="constrained",
                                   figsize=(5.5 * len(threads), 2.8 * len(precisions)))
    for row, precision in zip(axes, precisions, strict=True):
        for panel, count in zip(row, threads, strict=True):
            tasks = [result for result in results if result["threads"] == count]
            for i, name in enumerate(names):
                bars = [(k + (i - len(names) / 2 + 0.5) / (len(names) + 1), program["milliseconds"], result["batch"])
                        for k, result in enumerate(tasks)
                        for program in timed([result["programs"][f"{name} {precision}"]])]
                heights = [time["median"] / batch for _, time, batch in bars]
                errors = [[(time["median"] - time["low"]) / batch for _, time, batch in bars],
                          [(time["high"] - time["median"]) / batch for _, time, batch in bars]]
                panel.bar([x for x, _, _ in bars], heights, 1 / (len(names) + 1), yerr=errors, label=name,
                          color=f"C{i}", error_kw={"linewidth": 0.6})
            panel.set_xticks(range(len(tasks)), [f"{task['width']}, batch {task['batch']}" for task in tasks],
                             fontsize=7)
            panel.set_yscale("log")
            panel.set_title(f"{precision}, {count} thread{'s' if count > 1 else ''}: ms an image", fontsize=9)
    axes[0][0].legend(fontsize=7, ncols=2)
    figure.suptitle(f"MobileNetV2, {about['size']} x {about['size']}, {about['cpu']}", fontsize=10)
    figure.savefig(file, metadata={"Date": None})

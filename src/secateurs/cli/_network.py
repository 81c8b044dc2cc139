"""`inspect`, `cost` and `prune`, for any importable network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from secateurs._errors import ConfigError
from secateurs.cli._console import out
from secateurs.cli._picture import draw_network
from secateurs.cli._target import Inputs, Options, Target, Weights, load_target

__all__ = ["register"]

Protect = Annotated[
    list[str] | None, typer.Option("--protect", metavar="PATTERN", help="Axes that stay whole, such as 'fc*'.")
]
Floor = Annotated[int, typer.Option("--floor", metavar="N", help="Units that every axis keeps at least.")]
Cap = Annotated[float | None, typer.Option("--cap", metavar="RATIO", help="Fraction of every axis that goes at most.")]
MultipleOf = Annotated[int, typer.Option("--multiple-of", metavar="N", help="Kept sizes are multiples of N.")]
_BUDGETS = ("macs", "params", "bytes", "units")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command("inspect")(_inspect)
    app.command("cost")(_cost)
    app.command("prune")(_prune)


def _inspect(
    model: Target,
    inputs: Inputs = None,
    options: Options = None,
    weights: Weights = None,
    protect: Protect = None,
    floor: Floor = 1,
    cap: Cap = None,
    multiple_of: MultipleOf = 1,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Draw the network as a page, to be opened by modules.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the network as one picture.")] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="In pictures, show what this plan.json leaves.")
    ] = None,
) -> None:
    """Show what may be cut in a network, how much that can save, and what may not be cut and why.

    Examples:

    * `secateurs inspect resnet20`
    * `secateurs inspect resnet20 --html resnet20.html`
    * `secateurs inspect resnet20 --weights small.safetensors --svg small.svg`
    * `secateurs inspect my_project.nets:make_net --input 1x3x224x224`
    """
    from secateurs.graph import trace, unwrapped
    from secateurs.selection import reachable
    from secateurs.surgery import history

    loaded = load_target(model, inputs, options, weights)
    graph = trace(loaded.model, args=loaded.args)
    console = out()
    console.print(str(graph), markup=False, soft_wrap=True)
    if html is not None or svg is not None:
        is_cut = weights is not None and bool(history(unwrapped(loaded.model)))
        dense = load_target(model, inputs, options, None) if is_cut else None
        whole = None if dense is None else trace(dense.model, args=dense.args)
        draw_network(graph, whole, plan=plan, html=html, svg=svg)
    rules: dict[str, Any] = {"protect": protect or [], "floor": floor, "cap": cap, "multiple_of": multiple_of}
    if any(axis.kind != "branch" for axis in graph.axes):
        console.print("what can be removed under these rules:")
        for key, reach in reachable(graph, **rules).items():
            console.print(f"  {key:<8}{reach}", markup=False, soft_wrap=True)


def _cost(
    model: Target,
    inputs: Inputs = None,
    options: Options = None,
    weights: Weights = None,
    train: Annotated[bool, typer.Option("--train", help="Count training's operations too, by layer.")] = False,
    latency: Annotated[
        bool, typer.Option("--latency", help="Measure the time of a call too, on this machine.")
    ] = False,
) -> None:
    """Show what one call of a network costs: parameters, bytes, multiply-adds, activations.

    Examples:

    * `secateurs cost resnet20 --latency`
    * `secateurs cost my_project.nets:make_net --input 8x3x224x224 --train`
    """
    from secateurs.cost import cost as count
    from secateurs.cost import latency as measure
    from secateurs.cost import training_cost

    loaded = load_target(model, inputs, options, weights)
    counted = count(loaded.model, args=loaded.args, train=train)
    rows = [("parameters", counted.params), ("bytes", counted.bytes), ("MACs", counted.macs)]
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for title, value in (*rows, ("activation bytes", counted.activation_bytes)):
        table.add_row(title, f"{value:,}")
    if train:
        table.add_row("GOps of a training step", f"{counted.train_gops:,.3f}")
    console = out()
    console.print(table)
    others = ", ".join(f"{name} x{count}" for name, count in counted.uncounted.items())
    console.print(f"no multiply-adds counted for: {others or 'nothing'}", markup=False, soft_wrap=True)
    if train:
        console.print(str(training_cost(loaded.model, args=loaded.args)), markup=False, soft_wrap=True)
    if latency:
        measured, macs = measure(loaded.model, loaded.args), counted.macs // len(loaded.args[0])
        console.print(str(measured), markup=False, soft_wrap=True)
        rates = (f"{row.gops_per_s(macs):.3g} with batch {row.batch_size}" for row in measured.rows)
        console.print(f"GOps/s reached: {', '.join(rates)}", markup=False, soft_wrap=True)


# As many parameters as the command line has options; typer reads them from the signature.
def _prune(
    model: Target,
    remove: Annotated[
        list[str],
        typer.Option("--remove", metavar="WHAT=RATIO", help="Fraction to remove of macs, params, bytes or units."),
    ],
    out_file: Annotated[Path, typer.Option("--out", metavar="FILE", help="safetensors file for the small network.")],
    inputs: Inputs = None,
    options: Options = None,
    weights: Weights = None,
    criterion: Annotated[str, typer.Option("--criterion", help="Which units matter.")] = "magnitude",
    scope: Annotated[str, typer.Option("--scope", help="global or layerwise.")] = "global",
    protect: Protect = None,
    floor: Floor = 1,
    cap: Cap = None,
    multiple_of: MultipleOf = 1,
    per: Annotated[str | None, typer.Option("--per", help="Compare scores by what units cost: macs or params.")] = None,
) -> None:
    """Cut a network, prove that the cut is right, and save it.

    `secateurs.load(FILE, factory)` reads the small network.

    Examples:

    * `secateurs prune resnet20 --weights dense.safetensors --remove macs=0.5 --out small.safetensors`
    * `secateurs prune my_project.nets:make_net --input 1x3x224x224 --remove macs=0.5 --criterion magnitude
      --out small.safetensors`
    """
    from secateurs import criteria
    from secateurs.graph import trace
    from secateurs.selection import select
    from secateurs.surgery import apply, save

    if scope not in ("global", "layerwise"):
        raise ConfigError("--scope", wanted="global or layerwise", got=repr(scope), cure="Choose one of them.")
    budget = _budget(remove)
    scoring = criteria.build(criterion)
    loaded = load_target(model, inputs, options, weights)
    graph = trace(loaded.model, args=loaded.args)
    plan = select(
        graph,
        scoring(graph),
        remove=budget,
        scope="layerwise" if scope == "layerwise" else "global",
        protect=protect or [],
        floor=floor,
        cap=cap,
        multiple_of=multiple_of,
        per=_per(per),
    )
    result = apply(loaded.model, plan, example=loaded.args)
    save(result, out_file)
    _report(result, graph.fixed, out_file)


def _per(given: str | None) -> Literal["macs", "params"] | None:
    if given in (None, "macs", "params"):
        return None if given is None else "macs" if given == "macs" else "params"
    raise ConfigError("--per", wanted="macs or params", got=repr(given), cure="Choose one of them, or leave it out.")


def _report(result: Any, fixed: Sequence[Any], file: Path) -> None:
    before, after = result.plan.before, result.plan.cost
    table = Table()
    table.add_column("")
    for title in ("before", "after", "removed"):
        table.add_column(title, justify="right")
    for name, title in (("params", "parameters"), ("macs", "MACs"), ("bytes", "bytes")):
        dense, small = getattr(before, name), getattr(after, name)
        table.add_row(title, f"{dense:,}", f"{small:,}", f"{100 * (1 - small / dense):.2f} %" if dense else "-")
    console = out()
    console.print(table)
    if fixed:
        console.print("not prunable:")
    for entry in fixed:
        console.print(f"  {entry}", markup=False, soft_wrap=True)
    console.print(f"verified: the cut network equals the masked one, relative error {result.report.error:.1e}")
    console.print(f"saved in {file}", markup=False, soft_wrap=True)


def _budget(texts: Sequence[str]) -> dict[str, float]:
    budget = {}
    for text in texts:
        name, _, ratio = text.partition("=")
        value = float(ratio) if _is_number(ratio) else -1.0
        if name not in _BUDGETS or not 0 < value < 1:
            raise ConfigError(
                f"--remove {text}",
                wanted=f"WHAT=RATIO with one of {', '.join(_BUDGETS)} and the fraction to remove, between 0 and 1",
                got=repr(text),
                cure="Write for example --remove macs=0.5.",
            )
        budget[name] = value
    return budget


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""Complex numbers and Fourier transforms."""

from secateurs.graph._call import Call
from secateurs.graph.rules._registry import register


@register("view_as_complex", "view_as_complex_copy")
def view_as_complex(call: Call) -> None:
    """[..., 2] -> [...]: real and imaginary parts belong together."""
    labels = call.labels(call.args[0])
    call.fix(labels[-1], "the two parts of a complex number")
    call.assign_view(labels[:-1])


@register("view_as_real", "view_as_real_copy", "_view_as_real")
def view_as_real(call: Call) -> None:
    """[...] -> [..., 2]."""
    call.assign_view([*call.labels(call.args[0]), None])


@register("_conj", "_neg_view", "resolve_neg", "_conj_physical", "conj_physical")
def conjugate(call: Call) -> None:
    """Every number in its place."""
    call.assign_view(call.labels(call.args[0]))


@register("_fft_r2c", "_fft_c2r", "_fft_c2c", "fft_fftshift", "fft_ifftshift")
def transform(call: Call) -> None:
    """Every frequency comes from every position: transformed dims stay, the others pass."""
    call.uncounted()
    data = call.args[0]
    dims = call.argument(1, "dim")
    gone = {dim % data.dim() for dim in (range(data.dim()) if dims is None else dims)}
    labels = list(call.labels(data))
    for dim in gone:
        call.fix(labels[dim], "transformed along it")
        labels[dim] = None
    call.assign(labels)

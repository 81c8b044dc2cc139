"""Small programs on labels, one for every shape that networks give them."""

from collections.abc import Callable

from tests.graph.reference import Twin

__all__ = ["COARSE", "EXACT", "TRICKY"]


def chain(twin: Twin) -> None:
    a, b, c, d = (twin.fresh(3) for _ in range(4))
    twin.unify(a, b)
    twin.unify(c, d)
    twin.unify(b, c)


def crossed_chain(twin: Twin) -> None:
    wide, b, c = twin.fresh(6), twin.fresh(4), twin.fresh(4)
    twin.unify(twin.take(wide, range(4)), b)
    twin.unify(twin.take(wide, range(2, 6)), c)


def roll(twin: Twin) -> None:
    a = twin.fresh(6)
    twin.unify(a, twin.take(a, [2, 3, 4, 5, 0, 1]))


def shuffle(twin: Twin) -> None:
    group, inner = twin.split(twin.fresh(6), 2, 3)
    twin.unify(twin.merge(inner, group), twin.fresh(6))


def square_shuffle_residual(twin: Twin) -> None:
    a = twin.fresh(9)
    group, inner = twin.split(a, 3, 3)
    twin.unify(twin.merge(inner, group), a)


def three_shuffles(twin: Twin) -> None:
    dim = twin.fresh(8)
    for _ in range(3):
        group, inner = twin.split(dim, 2, 4)
        dim = twin.merge(inner, group)


def heads(twin: Twin) -> None:
    query, key = (twin.split(twin.fresh(6), 3, 2) for _ in range(2))
    twin.unify(query[0], key[0])
    twin.unify(query[1], key[1])


def packed_heads(twin: Twin) -> None:
    three, heads, inner = twin.split(twin.fresh(12), 3, 2, 2)
    twin.fix(three)
    twin.unify(twin.merge(heads, inner), twin.fresh(4))


def grouped_query(twin: Twin) -> None:
    query, key, value = twin.split(twin.fresh(8), 4, 2), *(twin.split(twin.fresh(4), 2, 2) for _ in range(2))
    for heads, inner in (key, value):
        twin.unify(query[0], twin.take(heads, [0, 0, 1, 1]))
        if heads is key[0]:
            twin.unify(query[1], inner)
    twin.unify(twin.merge(query[0], value[1]), twin.fresh(8))


def grouped_query_by_expand(twin: Twin) -> None:
    query, key = twin.split(twin.fresh(8), 4, 2), twin.split(twin.fresh(4), 2, 2)
    twin.unify(query[0], twin.merge(key[0], twin.constant(2)))
    twin.unify(query[1], key[1])


def grouped_query_merged(twin: Twin) -> None:
    query, key = twin.fresh(8), twin.split(twin.fresh(4), 2, 2)
    twin.split(query, 4, 2)
    twin.unify(query, twin.merge(twin.take(key[0], [0, 0, 1, 1]), key[1]))


def repeated_positions(twin: Twin) -> None:
    repeated = twin.take(twin.fresh(4), [0, 1, 0, 1, 2, 3, 2, 3])
    twin.split(repeated, 4, 2)
    twin.unify(twin.fresh(8), repeated)


def grouped_convolution(twin: Twin) -> None:
    group, inner = twin.split(twin.fresh(6), 2, 3)
    twin.unify(inner, twin.fresh(3))
    twin.unify(twin.split(twin.fresh(4), 2, 2)[0], group)


def depthwise(twin: Twin) -> None:
    group, inner = twin.split(twin.fresh(5), 5, 1)
    twin.unify(inner, twin.fresh(1))
    twin.unify(twin.split(twin.fresh(5), 5, 1)[0], group)


def depthwise_multiplier(twin: Twin) -> None:
    group, _ = twin.split(twin.fresh(4), 4, 1)
    twin.unify(twin.split(twin.fresh(8), 4, 2)[0], group)


def concatenation(twin: Twin) -> None:
    twin.unify(twin.stack(twin.fresh(3), twin.fresh(4)), twin.fresh(7))


def padded_concatenation(twin: Twin) -> None:
    twin.unify(twin.stack(twin.fresh(3), twin.constant(4)), twin.fresh(7))


def concatenation_in_groups(twin: Twin) -> None:
    group, inner = twin.split(twin.stack(twin.fresh(3), twin.fresh(3)), 3, 2)
    twin.unify(twin.merge(group, inner), twin.fresh(6))


def shuffled_concatenation(twin: Twin) -> None:
    group, inner = twin.split(twin.stack(twin.fresh(2), twin.fresh(4)), 2, 3)
    twin.unify(twin.merge(inner, group), twin.fresh(6))


def flatten(twin: Twin) -> None:
    twin.unify(twin.merge(twin.fresh(4), twin.constant(3)), twin.fresh(12))


def flatten_channels_last(twin: Twin) -> None:
    twin.unify(twin.merge(twin.constant(3), twin.fresh(4)), twin.fresh(12))


def flatten_and_concatenate(twin: Twin) -> None:
    flat = twin.merge(twin.fresh(3), twin.constant(2))
    twin.unify(twin.fresh(8), twin.stack(flat, twin.fresh(2)))


def flatten_and_view_back(twin: Twin) -> None:
    wide = twin.fresh(6)
    twin.unify(wide, twin.merge(twin.fresh(3), twin.constant(2)))
    twin.split(wide, 3, 2)


def some_rows_fixed(twin: Twin) -> None:
    a, b, c = (twin.fresh(5) for _ in range(3))
    twin.fix(twin.take(a, [1, 4]))
    twin.unify(a, b)
    twin.unify(b, c)
    twin.fix(twin.take(c, [2]))


def some_rows_fixed_before_a_view(twin: Twin) -> None:
    a = twin.fresh(6)
    twin.fix(twin.take(a, [1]))
    twin.split(a, 3, 2)


def some_rows_fixed_after_a_view(twin: Twin) -> None:
    a = twin.fresh(6)
    twin.split(a, 3, 2)
    twin.fix(twin.take(a, [1]))


def pixel_shuffle(twin: Twin) -> None:
    _, high, wide = twin.split(twin.fresh(12), 3, 2, 2)
    twin.fix(high)
    twin.fix(wide)


def two_views(twin: Twin) -> None:
    a = twin.fresh(8)
    twin.split(a, 2, 4)
    twin.split(a, 4, 2)


def chunks_in_groups(twin: Twin) -> None:
    a = twin.fresh(8)
    first, second = twin.take(a, range(4)), twin.take(a, range(4, 8))
    twin.unify(first, second)
    twin.split(first, 2, 2)


def sum_of_equal_views(twin: Twin) -> None:
    a, b = twin.fresh(6), twin.fresh(6)
    twin.split(a, 2, 3)
    twin.split(b, 2, 3)
    twin.unify(a, b)


def sum_of_finer_view(twin: Twin) -> None:
    a, b = twin.fresh(8), twin.fresh(8)
    twin.split(a, 2, 2, 2)
    twin.split(b, 4, 2)
    twin.unify(a, b)


def sum_of_other_view(twin: Twin) -> None:
    a, b = twin.fresh(8), twin.fresh(8)
    twin.split(a, 2, 4)
    twin.split(b, 4, 2)
    twin.unify(a, b)


def sum_of_other_view_in_another_order(twin: Twin) -> None:
    a, b = twin.fresh(8), twin.fresh(8)
    twin.split(a, 2, 4)
    twin.split(b, 4, 2)
    order = [5, 0, 3, 7, 1, 6, 2, 4]
    twin.unify(twin.take(a, order), twin.take(b, order))


def sum_of_crossing_views(twin: Twin) -> None:
    """Only cuts that leave one group whole are feasible; the algebra keeps everything."""
    a, b = twin.fresh(6), twin.fresh(6)
    twin.split(a, 2, 3)
    twin.split(b, 3, 2)
    twin.unify(a, b)


def views_that_divide_each_other_nowhere(twin: Twin) -> None:
    a = twin.fresh(12)
    twin.split(a, 3, 4)
    twin.split(a, 2, 6)


def uneven_shuffle_residual(twin: Twin) -> None:
    a = twin.fresh(6)
    group, inner = twin.split(a, 2, 3)
    twin.unify(twin.merge(inner, group), a)


def two_uneven_shuffles(twin: Twin) -> None:
    dim = twin.fresh(6)
    for _ in range(2):
        group, inner = twin.split(dim, 2, 3)
        dim = twin.merge(inner, group)


def atoms_inside_their_own_products(twin: Twin) -> None:
    a, b = twin.fresh(2), twin.fresh(2)
    twin.unify(twin.take(a, [1, 0]), twin.take(twin.merge(a, b), [1, 2]))


def column_without_partner(twin: Twin) -> None:
    twin.unify(twin.merge(twin.fresh(2), twin.fresh(3)), twin.merge(twin.fresh(2), twin.fresh(3), twin.fresh(1)))


def grid_with_a_hole(twin: Twin) -> None:
    first, second = twin.merge(twin.fresh(2), twin.fresh(3)), twin.merge(twin.fresh(3), twin.fresh(2))
    twin.unify(twin.take(first, range(5)), twin.take(second, range(5)))


def grid_with_a_cell_twice(twin: Twin) -> None:
    first, second = (twin.merge(twin.fresh(2), twin.fresh(2)) for _ in range(2))
    twin.unify(twin.take(first, [0, 0, 1, 2]), second)


def grid_dim_that_only_one_product_has(twin: Twin) -> None:
    pairs = twin.take(twin.merge(twin.fresh(4), twin.fresh(4)), [0, 5, 10, 15])
    twin.unify(twin.merge(pairs, twin.constant(2)), twin.merge(*(twin.fresh(2) for _ in range(3))))


def merged_with_a_dim_of_one_position(twin: Twin) -> None:
    twin.merge(twin.fresh(2), twin.fresh(1))


def products_whose_columns_all_pair_up(twin: Twin) -> None:
    first, second = (twin.merge(twin.fresh(2), twin.fresh(3)) for _ in range(2))
    twin.unify(first, second)


TRICKY: tuple[Callable[[Twin], None], ...] = (
    atoms_inside_their_own_products,
    column_without_partner,
    grid_with_a_hole,
    grid_with_a_cell_twice,
    grid_dim_that_only_one_product_has,
    merged_with_a_dim_of_one_position,
    products_whose_columns_all_pair_up,
)

COARSE: tuple[Callable[[Twin], None], ...] = (
    sum_of_crossing_views,
    views_that_divide_each_other_nowhere,
    uneven_shuffle_residual,
    two_uneven_shuffles,
)

EXACT: tuple[Callable[[Twin], None], ...] = (
    chain,
    crossed_chain,
    roll,
    shuffle,
    square_shuffle_residual,
    three_shuffles,
    heads,
    packed_heads,
    grouped_query,
    grouped_query_by_expand,
    grouped_query_merged,
    repeated_positions,
    grouped_convolution,
    depthwise,
    depthwise_multiplier,
    concatenation,
    padded_concatenation,
    concatenation_in_groups,
    shuffled_concatenation,
    flatten,
    flatten_channels_last,
    flatten_and_concatenate,
    flatten_and_view_back,
    some_rows_fixed,
    some_rows_fixed_before_a_view,
    some_rows_fixed_after_a_view,
    pixel_shuffle,
    two_views,
    chunks_in_groups,
    sum_of_equal_views,
    sum_of_finer_view,
    sum_of_other_view,
    sum_of_other_view_in_another_order,
)

// Products of small matrices: C (rows, columns) += A (rows, depth) B (depth, columns).
//
// B is read in panels of kPanel vectors: a tile of C stays in registers while one row of a panel after the other is
// multiplied by numbers of A. A may stand transposed, so that weight gradients are the same product. The columns of B
// and C are padded to whole vectors.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "vectors.h"

namespace accelerator {

// Registers: 32 (AVX-512) or 16; a tile of kPanel vectors and the rows given leaves room for a panel's row.
#ifdef __AVX512F__
constexpr int kPanel = 4;
constexpr std::array<int, kPanel + 1> kTileRows = {0, 12, 12, 8, 6};
#else
constexpr int kPanel = 2;
constexpr std::array<int, kPanel + 1> kTileRows = {0, 6, 6};
#endif
constexpr Index kPanelBytes = 32768;  // of a panel that is multiplied by several tiles: less than the first cache

template <class T>
constexpr Index panel_columns = kPanel* lanes<T>;

// A tile of C += A B. A: number (i, k) at a[i * a_stride + k], B: rows follow each other; or, TRANSPOSED, A: number
// (i, k) at a[i + k * a_stride], B: rows b_stride apart. Without ``accumulate`` what C held before does not count.
template <class T, int ROWS, int VECTORS, bool TRANSPOSED>
void tile(const T* a, Index a_stride, const T* b, Index b_stride, Index depth, T* c, Index c_stride, bool accumulate) {
    Vector<T> sum[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j)
            sum[i][j] = Vector<T>{};
    if (!TRANSPOSED) b_stride = VECTORS * lanes<T>;
#pragma GCC unroll 4
    for (Index k = 0; k < depth; ++k) {
        Vector<T> row[VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) row[j] = load(b + j * lanes<T>);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
            const T factor = TRANSPOSED ? a[i] : a[i * a_stride];
#pragma GCC unroll 4
            for (int j = 0; j < VECTORS; ++j) sum[i][j] += factor * row[j];
        }
        b += b_stride;
        a += TRANSPOSED ? a_stride : 1;
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
            T* to = c + i * c_stride + j * lanes<T>;
            store<T>(to, accumulate ? load(to) + sum[i][j] : sum[i][j]);  // C last: less rounding than with C first
        }
}

template <class T>
using Tile = void (*)(const T*, Index, const T*, Index, Index, T*, Index, bool);

// The tiles of 1, 2, ... rows.
template <class T, int VECTORS, bool TRANSPOSED, int... ROWS>
const Tile<T>* tiles(std::integer_sequence<int, ROWS...>) {
    static constexpr Tile<T> all[] = {tile<T, ROWS + 1, VECTORS, TRANSPOSED>...};
    return all;
}

template <class T, bool TRANSPOSED, int VECTORS = kPanel>
const Tile<T>* tiles_of(int vectors) {
    if constexpr (VECTORS > 1)
        if (vectors < VECTORS) return tiles_of<T, TRANSPOSED, VECTORS - 1>(vectors);
    return tiles<T, VECTORS, TRANSPOSED>(std::make_integer_sequence<int, kTileRows[VECTORS]>());
}

template <class T, bool TRANSPOSED>
void multiply(Index rows, Index columns, Index depth, const T* a, Index a_stride, const T* b, Index b_stride, T* c,
              Index c_stride, bool accumulate) {
    const Index most = kPanelBytes / static_cast<Index>(sizeof(T)) / panel_columns<T>;
    const Index cuts = std::max<Index>(1, (depth + most - 1) / most);
    for (Index cut = 0; cut < cuts; ++cut) {
        const Index begin = depth * cut / cuts, length = depth * (cut + 1) / cuts - begin;
        const T* left = a + begin * (TRANSPOSED ? a_stride : 1);
        for (Index column = 0; column < columns; column += panel_columns<T>) {
            const Index width = std::min(columns - column, panel_columns<T>);
            const T* panel = TRANSPOSED ? b + column + begin * b_stride : b + column * depth + begin * width;
            const int vectors = static_cast<int>(width / lanes<T>);
            const Tile<T>* all = tiles_of<T, TRANSPOSED>(vectors);
            const Index tall = kTileRows[vectors], blocks = (rows + tall - 1) / tall;
            for (Index block = 0, row = 0; block < blocks; ++block) {
                const Index end = rows * (block + 1) / blocks;
                all[end - row - 1](left + row * (TRANSPOSED ? 1 : a_stride), a_stride, panel, b_stride, length,
                                   c + row * c_stride + column, c_stride, accumulate || cut > 0);
                row = end;
            }
        }
    }
}

// C (rows, columns) = or += A B for A (rows, depth) and B (depth, columns) in panels.
template <class T>
void multiply_rows(Index rows, Index columns, Index depth, const T* a, Index a_stride, const T* panels, T* c,
                   Index c_stride, bool accumulate) {
    multiply<T, false>(rows, columns, depth, a, a_stride, panels, 0, c, c_stride, accumulate);
}

// C (rows, columns) = or += A^T B for A (depth, rows) and B (depth, columns).
template <class T>
void multiply_transposed(Index rows, Index columns, Index depth, const T* a, Index a_stride, const T* b, Index b_stride,
                         T* c, Index c_stride, bool accumulate) {
    multiply<T, true>(rows, columns, depth, a, a_stride, b, b_stride, c, c_stride, accumulate);
}

// A matrix (depth, columns) in panels: the first panel_columns columns of all rows, then the next; the last panel is as
// wide as what is left.
template <class T>
struct Panels {
    T* data;
    Index depth, columns;

    // Width of the panel that holds a column: from one row to the next.
    Index width(Index column) const {
        const Index first = column / panel_columns<T> * panel_columns<T>;
        return std::min(columns - first, panel_columns<T>);
    }

    T* at(Index k, Index column) const {
        const Index inside = column % panel_columns<T>;
        return data + (column - inside) * depth + k * width(column) + inside;
    }
};

// The rows of a vector of vectors become its columns: log2(lanes) perfect shuffles.
template <class V, std::size_t... I>
INLINE void interleave(const V* from, V* to, std::index_sequence<I...>) {
    constexpr int count = sizeof...(I);
    for (int i = 0; i < count / 2; ++i) {
        to[2 * i] = __builtin_shufflevector(from[i], from[i + count / 2], (I % 2 * count + I / 2)...);
        to[2 * i + 1] =
            __builtin_shufflevector(from[i], from[i + count / 2], (I % 2 * count + I / 2 + count / 2)...);
    }
}

template <class T>
INLINE void transpose(Vector<T>* rows) {
    Vector<T> other[lanes<T>];
    constexpr auto all = std::make_index_sequence<lanes<T>>();
    int stages = 0;
    for (Index size = 1; size < lanes<T>; size *= 2, ++stages)
        stages % 2 ? interleave(other, rows, all) : interleave(rows, other, all);
    if (stages % 2) std::memcpy(rows, other, sizeof other);
}

// The transpose of weight (units, depth) into panels from ``column`` on; zeros up to padded(units).
template <class T>
void pack_transposed(const T* weight, Index units, Panels<T> panels, Index column) {
    const Index depth = panels.depth;
    for (Index unit = 0; unit < units; unit += lanes<T>) {
        const Index count = std::min(lanes<T>, units - unit), width = panels.width(column + unit);
        const T* from = weight + unit * depth;
        T* to = panels.at(0, column + unit);
        Index k = 0;
        for (; count == lanes<T> && k + lanes<T> <= depth; k += lanes<T>) {
            Vector<T> block[lanes<T>];
            for (Index lane = 0; lane < lanes<T>; ++lane) block[lane] = load(from + lane * depth + k);
            transpose<T>(block);
            for (Index lane = 0; lane < lanes<T>; ++lane) store(to + (k + lane) * width, block[lane]);
        }
        for (; k < depth; ++k)
            for (Index lane = 0; lane < lanes<T>; ++lane)
                to[k * width + lane] = lane < count ? from[lane * depth + k] : T(0);
    }
}

// weight (units, width) as the rows first, first + 1, ... of panels; zeros up to padded(units) and padded(width).
template <class T>
void pack_plain(const T* weight, Index units, Index width, Panels<T> panels, Index first) {
    for (Index unit = 0; unit < padded<T>(units); ++unit)
        for (Index column = 0; column < width; column += lanes<T>) {
            const Index count = std::min(lanes<T>, width - column);
            const T* from = weight + unit * width + column;
            Vector<T> value{};
            if (unit < units && count == lanes<T>)
                value = load(from);
            else if (unit < units)
                std::memcpy(&value, from, static_cast<std::size_t>(count) * sizeof(T));
            store(panels.at(first + unit, column), value);
        }
}

}  // namespace accelerator

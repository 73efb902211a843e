// Reductions in a fixed order: out = finish(fold of mapped(x)) over the middle axis of x.
//   rows:    x f32[outer, length]          out f32[outer, chunks]          a cell is T: V values side by side of a row
//   columns: x f32[outer, length, inner]   out f32[outer, chunks, inner]   a cell is T: V columns
// `length` and `inner` count cells. A thread folds one chunk: `chunk` cells in a row, or with STRIDED every chunks-th cell
// (then neighbouring threads read neighbouring cells). Blocks of 64 cells go through four accumulators and are then folded
// together, so that rounding errors stay near 1e-7. Launched again on the result until one chunk is left.
// Moves 4 bytes an element.
const WG = 64u;
const OP = 0u; //!param
const SQUARE = 0u; //!param
const ROOT = 0u; //!param
const STRIDED = 0u; //!param
const V = 4u; //!param
alias T = vec4f; //!param
struct Params { outer: u32, length: u32, inner: u32, chunk: u32, chunks: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out_cells: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn mapped(v: T) -> T {
  //!if SQUARE
  return v * v;
  //!else
  return v;
  //!end
}

//!if OP == 1
const EMPTY = T(-3.4028234663852886e38);
fn fold(a: T, b: T) -> T { return max(a, b); }
//!else
const EMPTY = T();
fn fold(a: T, b: T) -> T { return a + b; }
//!end

fn across(v: T) -> f32 {
  //!if V == 1
  return v;
  //!else
  //!if OP == 1
  return max(max(v.x, v.y), max(v.z, v.w));
  //!else
  return (v.x + v.y) + (v.z + v.w);
  //!end
  //!end
}

// Chunk c of the line of cells that starts at `begin`, `step` cells apart.
fn chunk_of(c: u32, begin: u32, step: u32) -> T {
  //!if STRIDED
  let start = begin + c * step;
  let count = (p.length - c + p.chunks - 1u) / p.chunks;
  let pace = step * p.chunks;
  //!else
  let start = begin + c * p.chunk * step;
  let count = min(p.chunk, p.length - c * p.chunk);
  let pace = step;
  //!end
  var total = EMPTY;
  for (var done = 0u; done < count; done += 64u) {
    let block = min(count - done, 64u);
    let at = start + done * pace;
    //!repeat j 0..4
    var a_j = EMPTY;
    //!end
    var k = 0u;
    for (; k + 3u < block; k += 4u) {
      //!repeat j 0..4
      let v_j = mapped(x[at + (k + j) * pace]);
      //!end
      //!repeat j 0..4
      a_j = fold(a_j, v_j);
      //!end
    }
    for (; k < block; k++) { a_0 = fold(a_0, mapped(x[at + k * pace])); }
    total = fold(total, fold(fold(a_0, a_1), fold(a_2, a_3)));
  }
  return total;
}

@compute @workgroup_size(WG)
fn rows(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.chunks) { return; }
  let v = p.scale * across(chunk_of(i % p.chunks, i / p.chunks * p.length, 1u));
  //!if ROOT
  out[i] = sqrt(v);
  //!else
  out[i] = v;
  //!end
}

@compute @workgroup_size(WG)
fn columns(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.chunks * p.inner) { return; }
  let o = i / (p.chunks * p.inner);
  let v = p.scale * chunk_of(i / p.inner % p.chunks, o * p.length * p.inner + i % p.inner, p.inner);
  //!if ROOT
  out_cells[i] = sqrt(v);
  //!else
  out_cells[i] = v;
  //!end
}

// forward: out = a op b with NumPy's broadcasting.   backward: out = dy * (d/da or d/db of it), in the shape of the result.
// x is a, or b where SWAP is 1: the operand that has the shape of the result in modes 0 to 2; y is the other one.
// MODE 0: same shapes.  1: y[i / inner % count], constant over rows.  2: y[i % count], repeated whole.  3: any strides.
// n, inner and count are in elements of T. PER elements in a row an invocation. Moves 12n (forward), 16n (backward) bytes.
const WG = 64u;
const PER = 1u; //!param
const OP = 0u; //!param
const ADD = 0u; //!param
const SUB = 1u; //!param
const MUL = 2u; //!param
const DIV = 3u; //!param
const MAXIMUM = 4u; //!param
const MODE = 0u; //!param
const SWAP = 0u; //!param
const WRT = 0u; //!param
alias T = vec4f; //!param
alias Y = vec4f; //!param
struct Params {
  n: u32, inner: u32, count: u32,
  n0: u32, n1: u32, n2: u32, n3: u32, n4: u32, n5: u32,
  x0: u32, x1: u32, x2: u32, x3: u32, x4: u32, x5: u32,
  y0: u32, y1: u32, y2: u32, y3: u32, y4: u32, y5: u32,
}
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> y: array<Y>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> p: Params;

fn value(a: T, b: T) -> T {
  //!if OP == ADD
  return a + b;
  //!end
  //!if OP == SUB
  return a - b;
  //!end
  //!if OP == MUL
  return a * b;
  //!end
  //!if OP == DIV
  return a / b;
  //!end
  //!if OP == MAXIMUM
  return max(a, b);
  //!end
}

// Equal operands share the gradient of maximum, as in PyTorch.
fn slope(a: T, b: T) -> T {
  //!if OP == ADD
  return T(1.0);
  //!end
  //!if OP == SUB
  return select(T(1.0), T(-1.0), WRT == 1u);
  //!end
  //!if OP == MUL
  return select(a, b, WRT == 0u);
  //!end
  //!if OP == DIV
  return select(-a / (b * b), 1.0 / b, WRT == 0u);
  //!end
  //!if OP == MAXIMUM
  return select(select(T(0.0), T(0.5), a == b), T(1.0), select(b > a, a > b, WRT == 0u));
  //!end
}

struct Place { x: u32, y: u32 }
fn place(i: u32) -> Place {
  //!if MODE == 0
  return Place(i, i);
  //!end
  //!if MODE == 1
  return Place(i, i / p.inner % p.count);
  //!end
  //!if MODE == 2
  return Place(i, i % p.count);
  //!end
  //!if MODE == 3
  var rest = i;
  var k = rest % p.n0;
  var at = Place(k * p.x0, k * p.y0);
  rest /= p.n0;
  k = rest % p.n1;
  at = Place(at.x + k * p.x1, at.y + k * p.y1);
  rest /= p.n1;
  k = rest % p.n2;
  at = Place(at.x + k * p.x2, at.y + k * p.y2);
  rest /= p.n2;
  k = rest % p.n3;
  at = Place(at.x + k * p.x3, at.y + k * p.y3);
  rest /= p.n3;
  k = rest % p.n4;
  at = Place(at.x + k * p.x4, at.y + k * p.y4);
  rest /= p.n4;
  return Place(at.x + rest * p.x5, at.y + rest * p.y5);
  //!end
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let at = place(i);
    //!if SWAP == 0
    out[i] = value(T(x[at.x]), T(y[at.y]));
    //!else
    out[i] = value(T(y[at.y]), T(x[at.x]));
    //!end
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let at = place(i);
    //!if SWAP == 0
    out[i] = dy[i] * slope(T(x[at.x]), T(y[at.y]));
    //!else
    out[i] = dy[i] * slope(T(y[at.y]), T(x[at.x]));
    //!end
  }
}

// out = a x + b y. a and b are numbers of the launch, or one number an image: coef[i / inner] where A_LIST or B_LIST is 1.
// x, y, out: T[n]; inner counts the elements of T in an image. PER elements in a row an invocation. Moves 12n bytes.
const WG = 64u;
const PER = 1u; //!param
const A_LIST = 0u; //!param
const B_LIST = 0u; //!param
alias T = vec4f; //!param
struct Params { n: u32, inner: u32, a: f32, b: f32 }
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> y: array<T>;
@group(0) @binding(2) var<storage, read> a_list: array<f32>;
@group(0) @binding(3) var<storage, read> b_list: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<T>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn lincomb(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    var a = p.a;
    var b = p.b;
    //!if A_LIST
    a = a_list[i / p.inner];
    //!end
    //!if B_LIST
    b = b_list[i / p.inner];
    //!end
    out[i] = a * x[i] + b * y[i];
  }
}

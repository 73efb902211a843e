// Adam and the moving average of the parameters, in place, over flat f32[n] read as vec4:
//   g += weight_decay*params;  m += (1-beta1)*(g-m);  v = beta2*v + (1-beta2)*g*g;
//   params -= step_size*m/(sqrt(v)*inv_sqrt_correction + eps);   step_size = lr/(1-beta1^t), inv_sqrt_correction = 1/sqrt(1-beta2^t)
//   ema += ema_weight*(params-ema)
// RUN vec4s in a row a thread. Moves 28n bytes, 36n with the average.
const WG = 64u;
const RUN = 1u; //!param
struct Params {
  n4: u32, step_size: f32, inv_sqrt_correction: f32, eps: f32, beta2: f32, rest1: f32, rest2: f32, weight_decay: f32,
  ema_weight: f32,
}
@group(0) @binding(0) var<storage, read> grads: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> params: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> ema: array<vec4f>;
@group(0) @binding(5) var<uniform> p: Params;

fn update(i: u32) -> vec4f {
  let before = params[i];
  let g = grads[i] + p.weight_decay * before;
  let m_old = m[i];
  let m_new = m_old + p.rest1 * (g - m_old);
  let v_new = p.beta2 * v[i] + p.rest2 * (g * g);
  let after = before - p.step_size * (m_new / (sqrt(v_new) * p.inv_sqrt_correction + p.eps));
  m[i] = m_new;
  v[i] = v_new;
  params[i] = after;
  return after;
}

fn average(i: u32, value: vec4f) {
  let e = ema[i];
  ema[i] = e + p.ema_weight * (value - e);
}

@compute @workgroup_size(WG)
fn adam(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * RUN;
  for (var i = first; i < min(first + RUN, p.n4); i++) { _ = update(i); }
}

@compute @workgroup_size(WG)
fn adam_ema(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * RUN;
  for (var i = first; i < min(first + RUN, p.n4); i++) { average(i, update(i)); }
}

// Four adjacent values at the end of a line, of which `left` (one at least) are inside it.

// Their indices from `at` on, past the end that of the last.
fn spots(at: u32, left: u32) -> vec4u { return at + min(vec4u(0u, 1u, 2u, 3u), vec4u(left - 1u)); }

// v with zeros past the end.
fn inside(v: vec4f, left: u32) -> vec4f { return select(vec4f(), v, vec4u(0u, 1u, 2u, 3u) < vec4u(left)); }

/** The adapter, the device or one of its limits. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** A kernel that cannot be compiled or launched; the message names kernel, variant and sizes. */
export class KernelError extends Error {
  override name = "KernelError";
}

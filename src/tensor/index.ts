// The public face of the tensor layer: nn, deft and users import this file and nothing below it.
export { dryDevice } from "../gpu/dry.ts";
export { openDevice, type Device, type DeviceOptions, type Tuning } from "../gpu/device.ts";
export { ChoiceError, DeviceError, KernelError } from "../gpu/errors.ts";
export { checkChoices } from "../kernels/variant.ts";
export { adamStep, type AdamState, type AdamStepOptions } from "./adam.ts";
export { checkpoint } from "./checkpoint.ts";
export { Engine } from "./engine.ts";
export { DisposedError, DtypeError, GradientError, ShapeError } from "./errors.ts";
export { Plan, type PlanOptions } from "./plan.ts";
export { Philox } from "./philox.ts";
export { showShape, sizeOf, type Shape } from "./shape.ts";
export { Tensor, type Dtype, type TypedData } from "./tensor.ts";
export * from "./ops/index.ts";

// What the names in a PyTorch pickle mean: storages, tensors over them, ordered dicts, and no other.
import { CheckpointError } from "./errors.ts";
import { Global, isTuple, Made, setItem, type Pickled, type PickledMap, type PickleRules } from "./pickle.ts";
import { BYTES, type SafetensorsDtype } from "./safetensors.ts";
import { quoted } from "./strict-json.ts";

const STORAGES = new Map<string, SafetensorsDtype>([
  ["torch.DoubleStorage", "F64"],
  ["torch.FloatStorage", "F32"],
  ["torch.HalfStorage", "F16"],
  ["torch.BFloat16Storage", "BF16"],
  ["torch.LongStorage", "I64"],
  ["torch.IntStorage", "I32"],
  ["torch.ShortStorage", "I16"],
  ["torch.ByteStorage", "U8"],
  ["torch.BoolStorage", "BOOL"],
]);

/** More axes than PyTorch prints and than any network has. */
const MAX_RANK = 64;

/** A run of numbers of one type, which tensors are cut from. */
export class Storage extends Made {
  readonly key: string;
  readonly dtype: SafetensorsDtype;
  /** Number of elements. */
  readonly count: number;

  constructor(key: string, dtype: SafetensorsDtype, count: number) {
    super();
    this.key = key;
    this.dtype = dtype;
    this.count = count;
  }

  get bytes(): number {
    return this.count * BYTES[this.dtype];
  }
}

/** Element [i, j, …] is number offset + i strides[0] + j strides[1] + … of the storage; all of them lie in it. */
export class StridedTensor extends Made {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  /** Number of elements, each counted as often as the tensor has it. */
  readonly count: number;

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    super();
    const wrong = (fact: string): CheckpointError =>
      new CheckpointError(
        `torch: tensor [${shape.join(", ")}] with strides [${strides.join(", ")}] from ${offset} ${fact}`,
      );
    if (shape.length !== strides.length) throw wrong("has unequal numbers of sizes and strides");
    // Partial products are checked: past 2^53 they would be rounded.
    let [count, last] = [1, offset];
    shape.forEach((size, axis) => {
      count *= size;
      last += Math.max(0, size - 1) * (strides[axis] as number);
      if (!Number.isSafeInteger(count) || !Number.isSafeInteger(last)) throw wrong("is too large");
    });
    if (count > 0 && last >= storage.count)
      throw wrong(`reaches element ${last} of storage ${quoted(storage.key)}, which has ${storage.count}`);
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
    this.count = count;
  }
}

/** Entries that all ordered dicts of a file are built from: a thousand times those of a large network. */
const MAX_PAIRS = 4_000_000;

/** The meanings of a file's pickle; `storages` collects what its tensors are cut from. */
export class TorchRules implements PickleRules {
  readonly storages = new Map<string, Storage>();

  checkGlobal(name: string): void {
    if (STORAGES.has(name) || Object.hasOwn(CALLS, name)) return;
    throw new CheckpointError(
      `torch: ${quoted(name)} is not allowed; only tensors, dicts, lists and plain values are read; save the state dict alone with torch.save`,
    );
  }

  #pairs = 0;

  call(name: string, args: readonly Pickled[]): Pickled {
    // One list may be given to many calls, and each copies it.
    for (const arg of args) if (Array.isArray(arg)) this.#pairs += arg.length;
    if (this.#pairs > MAX_PAIRS)
      throw new CheckpointError(
        `torch: more than ${MAX_PAIRS} pairs in ordered dicts; expected a state dict`,
      );
    const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
    if (!call) throw new CheckpointError(`torch: ${quoted(name)} is called; expected it as a type only`);
    return call(args);
  }

  /** A state dict's `_metadata` (versions of its modules), which changes no value. */
  setState(object: Pickled, state: Pickled): void {
    const isKnown = state instanceof Map && [...state.keys()].every((key) => key === "_metadata");
    if (!(object instanceof Map) || !isKnown)
      throw new CheckpointError(
        "torch: an object is given a state; expected only _metadata of an ordered dict",
      );
  }

  /** ("storage", class, key, location, numel, view of another: none). Locations are ignored. */
  load(id: Pickled): Storage {
    const [kind, type, key, , count, view = null] = isTuple(id) ? id : [];
    const dtype = STORAGES.get(nameOf(type));
    if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isSize(count))
      throw new CheckpointError('torch: a persistent id is no ("storage", class, key, location, numel)');
    if (view !== null)
      throw new CheckpointError(`torch: storage ${quoted(key)} is a view of another; save the file again`);
    const known = this.storages.get(key);
    if (known !== undefined && (known.dtype !== dtype || known.count !== count))
      throw new CheckpointError(
        `torch: storage ${quoted(key)} is ${known.dtype} [${known.count}] and ${dtype} [${count}] at once`,
      );
    const storage = known ?? new Storage(key, dtype, count);
    this.storages.set(key, storage);
    return storage;
  }
}

const CALLS: Readonly<Record<string, (args: readonly Pickled[]) => Pickled>> = {
  "collections.OrderedDict": orderedDict,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": rebuildParameter,
};

/** OrderedDict() or, from Python 2, OrderedDict([[key, value], …]). */
function orderedDict(args: readonly Pickled[]): PickledMap {
  const [pairs = [], ...rest] = args;
  const map: PickledMap = new Map();
  const wrong = new CheckpointError("torch: collections.OrderedDict takes a list of pairs");
  if (!Array.isArray(pairs) || rest.length > 0) throw wrong;
  for (const pair of pairs as readonly Pickled[]) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong;
    const [key, value] = pair as [Pickled, Pickled];
    setItem(map, key, value);
  }
  return map;
}

/** (storage, offset, sizes, strides, requires_grad, hooks[, metadata]); the last three change no value. */
function rebuildTensor(args: readonly Pickled[]): StridedTensor {
  const [storage, offset, shape, strides] = args;
  if (args.length < 6 || args.length > 7 || !(storage instanceof Storage) || !isSize(offset))
    throw new CheckpointError(
      "torch: a tensor is no (storage, offset, sizes, strides, requires_grad, hooks)",
    );
  if (!isSizes(shape) || !isSizes(strides))
    throw new CheckpointError(
      `torch: a tensor's sizes and strides are no tuples of at most ${MAX_RANK} integers from 0 on`,
    );
  return new StridedTensor(storage, offset, shape, strides);
}

function rebuildParameter(args: readonly Pickled[]): StridedTensor {
  const [data] = args;
  if (args.length !== 3 || !(data instanceof StridedTensor))
    throw new CheckpointError("torch: a parameter is no (tensor, requires_grad, hooks)");
  return data;
}

const nameOf = (value: Pickled | undefined): string => (value instanceof Global ? value.name : "");

const isSize = (value: Pickled | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

const isSizes = (value: Pickled | undefined): value is readonly number[] =>
  isTuple(value) && value.length <= MAX_RANK && value.every(isSize);

// The pictures of a run: which data set, and which of its pictures train, validate and are evaluated.
import { existsSync } from "node:fs";
import path from "node:path";
import type { Config } from "../deft/config/schema.ts";
import { splitFinetuning, subset, type ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { phantoms } from "../deft/phantoms.ts";
import { openEmoji } from "../io/emoji.ts";
import { openImageFolder } from "../io/image-folder.ts";
import { openLmdbPictures } from "../io/lmdb-pictures.ts";
import { listLodopab, openLodopab } from "../io/lodopab.ts";
import { openNpyFolder } from "../io/npy-folder.ts";

export interface RunData {
  readonly train: ImageDataset;
  /** Held-out pictures: never trained on. */
  readonly validation: ImageDataset;
}

/** A data set; `whole` where it has no split of its own. */
interface Opened extends RunData {
  readonly whole?: ImageDataset;
}

/** Versions of each embedded picture (background colours) that training walks through. */
const VERSIONS = 4096;
const PHANTOMS = 10_000;
const HELD_OUT_PHANTOMS = 100;

/**
 * Opens the data sets of a configuration; damaged pictures are named on stderr and skipped. Where finetune_dataset.root is a folder of
 * its own, all of it trains and all of the data set is evaluated. Throws UserError.
 */
export async function openData(config: Config): Promise<RunData> {
  const { dataset, finetune_dataset: own } = config;
  const all = await open(config, dataset.name, dataset.root, dataset.subset_txt);
  if (own.root === null && own.name === null) return all;
  const other = await open(config, own.name ?? dataset.name, own.root ?? dataset.root, own.subset_txt);
  return isApart(config)
    ? { train: other.whole ?? other.train, validation: all.whole ?? all.validation }
    : { train: other.train, validation: all.validation };
}

/** The pictures that `openData` evaluates, without those that train. */
export async function openHeldOut(config: Config): Promise<ImageDataset> {
  const { name, root, subset_txt: subsetTxt } = config.dataset;
  const { whole, validation } = await open(config, name, root, subsetTxt);
  return isApart(config) ? (whole ?? validation) : validation;
}

/** Whether other pictures train than the data set's. */
const isApart = ({ dataset, finetune_dataset: own }: Config): boolean =>
  own.root !== null && (dataset.root === null || path.resolve(own.root) !== path.resolve(dataset.root));

async function open(
  config: Config,
  name: string,
  root: string | null,
  subsetTxt: string | null,
): Promise<Opened> {
  const { image_size: side, channels } = config.dataset;
  if (side === null)
    throw new UserError("dataset.image_size: no side is known; pass dataset.image_size=SIDE");
  const { seed } = config.exp;
  if (name === "embedded" && root === null) {
    const train = await openEmoji({ side, split: "train", versions: VERSIONS, seed });
    return { train, validation: await openEmoji({ side, split: "test" }) };
  }
  if (name === "phantoms") {
    const length = PHANTOMS + HELD_OUT_PHANTOMS;
    const made = phantoms({ side, length, seed: 0 });
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    return {
      train: subset(made, range(HELD_OUT_PHANTOMS, length)),
      validation: subset(made, range(0, HELD_OUT_PHANTOMS)),
    };
  }
  if (root === null)
    throw new UserError(`dataset.root: dataset=${name} needs a folder; pass dataset.root=FOLDER`);
  const warn = (message: string) => console.error(`deft: ${message}`);
  const special = specialReader(name, root);
  if (special && subsetTxt !== null)
    throw new UserError(
      `dataset.subset_txt: only for folders of pictures; got dataset=${name}; leave it out`,
    );
  if (special && special !== "lmdb" && channels !== 1)
    throw new UserError(
      `dataset.channels: the pictures of dataset=${name} have 1; got ${channels}; pass a prior of one channel, such as model=phantoms`,
    );
  if (special === "lodopab") return openLodopabSplits(root, side, warn);
  const wanted = { side, channels: channels === 1 ? 1 : 3, warn } as const;
  const pictures = await (special === "npy"
    ? openNpyFolder(root, wanted)
    : special === "lmdb"
      ? openLmdbPictures(root, wanted)
      : openImageFolder(root, { ...wanted, ...folderOptions(config), subsetTxt }));
  // Only sets of photographs are as large as ImageNet.
  return split(pictures, special !== "npy");
}

/** A run that writes below the folder of its pictures must not learn from what it wrote. */
const folderOptions = ({ exp, loader }: Config) => ({
  except: [path.join(exp.root, exp.samples_root), exp.ckpt_root ?? path.join(exp.root, "model_ckpts")],
  workers: Math.max(1, loader.num_workers),
});

/** The reader of a data set that is no folder of pictures. */
function specialReader(name: string, root: string): "lmdb" | "npy" | "lodopab" | undefined {
  if (name === "aapm") return "npy";
  if (name === "lodopab") return "lodopab";
  if (name === "ffhq" && (root.endsWith(".mdb") || existsSync(path.join(root, "data.mdb")))) return "lmdb";
  return undefined;
}

function split(pictures: ImageDataset, isThinned: boolean): Opened {
  const { train, validation } = splitFinetuning(pictures.length, isThinned);
  return { train: subset(pictures, train), validation: subset(pictures, validation), whole: pictures };
}

/** LoDoPaB's own splits; where only one is there, it is split as a folder is. */
async function openLodopabSplits(
  root: string,
  side: number,
  warn: (message: string) => void,
): Promise<Opened> {
  const found = await listLodopab(root);
  const held = found.validation.length > 0 ? found.validation : found.test;
  const open = (files: readonly string[]) => openLodopab(root, files, { side, warn });
  if (found.train.length === 0 || held.length === 0)
    return split(await open(found.train.length > 0 ? found.train : held), false);
  return { train: await open(found.train), validation: await open(held) };
}

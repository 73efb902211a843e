export interface Interrupt {
  /** Ctrl-C (or SIGTERM) was pressed: finish the step, save and end. */
  readonly asked: boolean;
  /** Puts the default behaviour back. */
  release(): void;
}

/** The first Ctrl-C asks for an orderly end, a second one ends the process at once. */
export function onInterrupt(): Interrupt {
  let asked = false;
  const handler = (): void => {
    if (asked) process.exit(130);
    asked = true;
    console.log("\nstopping after this step; press Ctrl-C again to stop at once");
  };
  process.on("SIGINT", handler);
  process.on("SIGTERM", handler);
  return {
    get asked() {
      return asked;
    },
    release() {
      process.off("SIGINT", handler);
      process.off("SIGTERM", handler);
    },
  };
}

import { main, reportFailure } from "./command-line.ts";

const argv = process.argv.slice(2);

process.on("uncaughtException", (error) => {
  reportFailure(error, argv);
  process.exit(1);
});

await main(argv);

import { main, reportFailure } from "./command-line.ts";

process.on("uncaughtException", (error) => {
  reportFailure(error);
  process.exit(1);
});

await main(process.argv.slice(2));

/** The short form of `deno task soak`. */
import { losses, manyClients } from "./soak.ts";

manyClients({ requests: 100, rude: 30 });
losses({ times: 3 });

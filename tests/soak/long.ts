/** `deno task soak`: some minutes on the software driver. */
import { losses, manyClients } from "./soak.ts";

manyClients({ requests: 1000, rude: 200, memory: true });
losses({ times: 20 });

import { ok, strictEqual } from "node:assert/strict";
import { defaultBudget, hostBytes } from "../../src/engine/budget.ts";

const GiB = 2 ** 30;

Deno.test("where the device's memory is the machine's, half of that is the budget; elsewhere what most GPUs have", () => {
  strictEqual(defaultBudget({ software: true, backend: "Vulkan" }, 24 * GiB), 12 * GiB);
  strictEqual(defaultBudget({ software: false, backend: "Metal" }, 16 * GiB), 8 * GiB);
  strictEqual(defaultBudget({ software: false, backend: "Vulkan" }, 512 * GiB), 6 * GiB);
  strictEqual(defaultBudget({ software: true, backend: "Vulkan" }), 6 * GiB, "nobody knows the machine's");
});

Deno.test("a process may have no more memory than its machine", () => {
  const bytes = hostBytes();
  ok(bytes > 2 ** 26 && bytes <= Deno.systemMemoryInfo().total, `${bytes}`);
});

// Builds the page with @xyflow's own edges: node build.mjs OUT. The dependencies are those of tools/debugger/web.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "..", "..", "..", "tools", "debugger", "web");
const { build } = createRequire(join(web, "package.json"))("esbuild");

await build({
  absWorkingDir: web,
  entryPoints: { page: "src/main.tsx" },
  outdir: process.argv[2],
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  define: { "process.env.NODE_ENV": '"production"' },
  jsx: "automatic",
  nodePaths: [join(web, "node_modules")],
  plugins: [
    {
      name: "peer",
      setup(plugins) {
        plugins.onResolve({ filter: /^\.\/edges$/ }, () => ({ path: join(here, "edges.tsx") }));
      },
    },
  ],
});

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.OCTAVO_URL ?? "http://127.0.0.1:4400";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/octavo_server/http/console",
    emptyOutDir: true,
    target: "es2023",
    chunkSizeWarningLimit: 900,
  },
  server: {
    port: 5173,
    proxy: { "/api": server, "/v1": server },
  },
});

import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./theme/tokens.css";
import "./theme/base.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/client";
import { buildRouter } from "./router";
import { theme } from "./theme/theme";

/** A login that ended while a page was open: ask for it again, and come back. */
function relogin(error: unknown) {
  if (error instanceof ApiError && error.status === 401 && window.location.pathname !== "/login")
    window.location.assign(`/login?next=${encodeURIComponent(window.location.pathname + window.location.search)}`);
}

const queries = new QueryClient({
  queryCache: new QueryCache({ onError: relogin }),
  mutationCache: new MutationCache({ onError: relogin }),
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      refetchOnWindowFocus: false,
    },
  },
});
const router = buildRouter(queries);
const scheme = localStorageColorSchemeManager({ key: "octavo-theme" });
const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} colorSchemeManager={scheme} defaultColorScheme="auto">
        <Notifications position="bottom-right" autoClose={3500} />
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );

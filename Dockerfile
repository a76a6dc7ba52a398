# Debian, not Alpine: two native modules that peers need have no musl build.
FROM node:24-slim AS libraries
WORKDIR /app
COPY package.json package-lock.json ./
# Optional peer dependencies are left out, too: valibot's is the TypeScript compiler.
RUN npm ci --omit=dev --omit=optional --omit=peer
# Native modules bring binaries for every platform and for another runtime, Bare, and their C++ sources; Node loads one
# binary of each.
RUN find node_modules -path '*/prebuilds/*' -name '*.node' \
      ! -path "*/prebuilds/linux-$(node -p process.arch)/*" -delete \
 && find node_modules -path '*/prebuilds/*' \( -name '*.musl.node' -o -name '*.bare' \) -delete \
 && find node_modules -path '*/prebuilds/*' -type d -empty -delete \
 && rm -r node_modules/classic-level/deps node_modules/node-addon-api

FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json ./
COPY src ./src
# npm would set the executable bit of the command.
RUN npm run build && chmod 0755 dist/main.js

FROM node:24-slim
LABEL org.opencontainers.image.title="leat" \
      org.opencontainers.image.description="A node agent that serves container images from a verified local cache and fetches each digest once" \
      org.opencontainers.image.licenses="Apache-2.0"
# The kernel lets no process end process 1 of its own container, so the agent, which ends itself when it hangs, runs below an
# init. tini passes signals on to the agent, and ends with its exit code.
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
# A number, not a name, because Kubernetes checks runAsNonRoot by number; not 1000, which is often a person on the host.
RUN install --directory --owner=65532 --group=65532 --mode=0750 /var/lib/leat
WORKDIR /app
COPY LICENSE package.json ./
COPY --from=libraries /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The name for `docker exec` and `kubectl exec`.
RUN ln -s /app/dist/main.js /usr/local/bin/agent
# The container's loopback is not reachable from outside, so the image listens on every address. Limit access where you
# publish the ports (`-p 127.0.0.1:5050:5050`); with the host's network, set both back to 127.0.0.1.
ENV NODE_ENV=production \
    LEAT_LISTEN=0.0.0.0:5050 \
    LEAT_ADMIN=0.0.0.0:5051 \
    LEAT_DATA=/var/lib/leat
USER 65532:65532
VOLUME /var/lib/leat
EXPOSE 5050 5051
STOPSIGNAL SIGTERM
# The slim image has no curl. The check does not see flags: set another admin address as LEAT_ADMIN. With `adminTls` the
# address speaks TLS only, with a certificate that the check takes as it is.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "const at = process.env.LEAT_ADMIN.replace('0.0.0.0', '127.0.0.1').replace('[::]', '[::1]'); const ask = (scheme) => new Promise((tell) => require('node:' + scheme).get(scheme + '://' + at + '/healthz', { rejectUnauthorized: false }, (answer) => tell(answer.statusCode === 200)).on('error', () => tell(false))); ask('http').then(async (ok) => process.exit(ok || (await ask('https')) ? 0 : 1))"]
ENTRYPOINT ["tini", "--", "node", "/app/dist/main.js"]
CMD ["serve"]

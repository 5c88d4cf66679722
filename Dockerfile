# A node in an image: built on the image it runs on, so that every native part fits it. Debian 13
# carries the C library which the newest uWebSockets.js needs; Node 24 is one of its versions.
#
#   docker build -t millrace .
#   docker run -p 9926:9926 -v ./my-app:/app:ro -v millrace:/data millrace
#
# RUN steps use paths relative to WORKDIR only, so that `.ci/docker-steps` can replay them without
# an engine.
FROM node:24-trixie-slim AS build
WORKDIR /build

COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund

COPY tsconfig.json bundle.js ./
COPY src ./src
COPY origins ./origins
COPY cache-policies ./cache-policies
RUN npm run build

# What runs: no compiler, no other platform's binaries, no sources.
RUN npm prune --omit=dev --no-audit --no-fund
RUN keep="uws_$(node -p 'process.platform + "_" + process.arch + "_" + process.versions.modules').node" \
 && find node_modules/uWebSockets.js node_modules/uws-compat -name 'uws_*.node' ! -name "$keep" -delete
RUN own="prebuilds/$(node -p 'process.platform + "-" + process.arch')" \
 && find node_modules -name '*.musl.node' -delete \
 && find node_modules -path '*/prebuilds/*.node' ! -path "*/$own/*" -delete \
 && find node_modules dist -name '*.map' -delete \
 && rm -rf node_modules/uws-compat/docs node_modules/uws-compat/src
RUN mkdir -p volumes/app volumes/data

FROM node:24-trixie-slim
WORKDIR /millrace
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY --from=build /build/cache-policies ./cache-policies
COPY --from=build --chown=node:node /build/volumes/ /

# Everything written at run time lies under /data; the root may be mounted read-only. The app port
# answers the network; the admin port stays on loopback unless an admin is configured.
ENV NODE_ENV=production \
    MILLRACE_HOST=0.0.0.0 \
    MILLRACE_DATA=/data
VOLUME /data
EXPOSE 9926 9925 1883 9933
USER node

HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.MILLRACE_ADMIN_PORT || 9925) + '/health/ready').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]

CMD ["node", "dist/main.js", "start", "/app"]

-- A tenant: people who see the texts and figures of their products alone. For an administrator, after roles.sql, once a tenant:
--     sed "s/TENANT/acme/g; s/PRODUCTS/'Tavio Hush', 'Garza Air'/g" deploy/clickhouse/tenant.sql | clickhouse-client --multiquery
-- Running it again with other products changes what the tenant sees. The login is made as in roles.sql:
--     ALTER USER voxpop_tenant_acme IDENTIFIED BY '…' HOST ANY;
-- Views read with the rights of whoever asks, so a policy on a table holds in every view over it. Tables without a product
-- (judgements_daily, topics_daily, headlines, dead_letters, claims, pages, erasures, audit, retention) are not granted, nor are briefs,
-- which are of several.

CREATE ROLE IF NOT EXISTS voxpop_tenant_TENANT_role SETTINGS PROFILE 'voxpop_reads';
GRANT SELECT ON voxpop.insights TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.aspect_mentions TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.sentiment_hourly TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.aspects_daily TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.digests TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.alerts TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.escalations TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_product_daily TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_aspect_trends TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_top_issues TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_recent TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_digests TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_alerts TO voxpop_tenant_TENANT_role;
GRANT SELECT ON voxpop.v_escalations TO voxpop_tenant_TENANT_role;

-- A restrictive policy takes from what others let through; a login with the roles of two tenants sees nothing.
CREATE ROW POLICY OR REPLACE voxpop_tenant_TENANT
    ON voxpop.insights, voxpop.aspect_mentions, voxpop.sentiment_hourly, voxpop.aspects_daily, voxpop.digests, voxpop.alerts,
       voxpop.escalations
    FOR SELECT USING product IN (PRODUCTS) AS RESTRICTIVE TO voxpop_tenant_TENANT_role;

-- Everybody else goes on seeing every row, also on a server that shows none to those without a policy.
CREATE ROW POLICY IF NOT EXISTS voxpop_whole
    ON voxpop.insights, voxpop.aspect_mentions, voxpop.sentiment_hourly, voxpop.aspects_daily, voxpop.digests, voxpop.alerts,
       voxpop.escalations
    FOR SELECT USING 1 AS PERMISSIVE TO ALL;

-- What each login of the tenant may cost the others. roles.sql bounds a single query.
CREATE QUOTA OR REPLACE voxpop_tenant_TENANT KEYED BY user_name
    FOR INTERVAL 1 minute MAX queries = 300, execution_time = 60,
    FOR INTERVAL 1 day MAX queries = 50000, read_rows = 100000000000, execution_time = 7200
    TO voxpop_tenant_TENANT_role;

CREATE USER IF NOT EXISTS voxpop_tenant_TENANT HOST NONE DEFAULT ROLE voxpop_tenant_TENANT_role;

CREATE TABLE public.dead_letter (
    digest character varying(64) NOT NULL,
    body text NOT NULL,
    reason text NOT NULL,
    "time" double precision NOT NULL
);
CREATE TABLE public.flavor (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    vcpus integer NOT NULL,
    ram integer NOT NULL,
    disk integer NOT NULL
);
CREATE TABLE public.image (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    owner_id character varying(36),
    visibility character varying(16) NOT NULL,
    size bigint NOT NULL,
    sha256 character varying(64) NOT NULL,
    min_disk integer NOT NULL,
    min_ram integer NOT NULL,
    created double precision NOT NULL,
    properties json NOT NULL
);
CREATE TABLE public.membership (
    user_id character varying(36) NOT NULL,
    project_id character varying(36) NOT NULL,
    role character varying(16) NOT NULL
);
CREATE TABLE public.network (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    subnet character varying(64),
    gateway character varying(64),
    subnet6 character varying(64),
    gateway6 character varying(64),
    tags json NOT NULL,
    updated double precision NOT NULL,
    read_order json
);
CREATE TABLE public.project (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    max_servers integer NOT NULL,
    max_cores integer NOT NULL,
    max_ram integer NOT NULL
);
CREATE TABLE public.removed_network (
    name character varying(255) NOT NULL,
    "order" json NOT NULL
);
CREATE TABLE public.server (
    id character varying(36) NOT NULL,
    instance character varying(255) NOT NULL,
    project_id character varying(36) NOT NULL,
    user_id character varying(36) NOT NULL,
    name text NOT NULL,
    flavor_id character varying(36) NOT NULL,
    image_id character varying(36) NOT NULL,
    vcpus integer NOT NULL,
    ram integer NOT NULL,
    disk integer NOT NULL,
    status character varying(16) NOT NULL,
    task character varying(32),
    fault text,
    host character varying(255),
    nics json NOT NULL,
    created double precision NOT NULL,
    updated double precision NOT NULL,
    deleted double precision,
    job integer,
    job_order json,
    power character varying(16),
    clocks json
);
CREATE TABLE public.user_account (
    id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    password_hash character varying(255) NOT NULL,
    enabled boolean NOT NULL
);
INSERT INTO public.dead_letter VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'garbage', 'JSONDecodeError', 1700000000);
INSERT INTO public.flavor VALUES ('33333333-3333-4333-8333-333333333333', 'small', 1, 512, 5);
INSERT INTO public.image VALUES ('44444444-4444-4444-8444-444444444444', 'debian', NULL, 'public', 8589934592, '0000000000000000000000000000000000000000000000000000000000000000', 3, 256, 1700000000, '{"os_distro": "debian"}');
INSERT INTO public.membership VALUES ('22222222-2222-4222-8222-222222222222', '11111111-1111-4111-8111-111111111111', 'member');
INSERT INTO public.network VALUES ('0bbbbbbb-0000-4000-8000-000000000001', 'net1', '10.0.0.0/24', '10.0.0.1', 'fd00::/64', NULL, '["nfdhcpd"]', 1700000000, '[1700000000, 5, 7, 0, 4]');
INSERT INTO public.project VALUES ('11111111-1111-4111-8111-111111111111', 'blue', 3, 4, 4096);
INSERT INTO public.removed_network VALUES ('old', '[1700000000, 5, 8, 0, 4]');
INSERT INTO public.server VALUES ('7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11', 'gx-7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11', '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222', 'Größe 1', '33333333-3333-4333-8333-333333333333', '44444444-4444-4444-8444-444444444444', 1, 512, 5, 'ACTIVE', NULL, NULL, 'node1', '[{"network": "net1", "ip": "10.0.0.2", "ip6": null, "mac": "aa:00:00:12:34:56", "uuid": "n1"}]', 1700000000, 1700000005, NULL, 10, '[1700000005, 0, 10, 0, 4]', 'ACTIVE', '{"power": [1700000005, 0, 10, 0, 4]}');
INSERT INTO public.user_account VALUES ('22222222-2222-4222-8222-222222222222', 'ann', 'pbkdf2:sha256:1$x$y', true);
ALTER TABLE ONLY public.dead_letter
    ADD CONSTRAINT dead_letter_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY public.flavor
    ADD CONSTRAINT flavor_name_key UNIQUE (name);
ALTER TABLE ONLY public.flavor
    ADD CONSTRAINT flavor_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_pkey PRIMARY KEY (user_id, project_id, role);
ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_name_key UNIQUE (name);
ALTER TABLE ONLY public.network
    ADD CONSTRAINT network_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_name_key UNIQUE (name);
ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.removed_network
    ADD CONSTRAINT removed_network_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_instance_key UNIQUE (instance);
ALTER TABLE ONLY public.server
    ADD CONSTRAINT server_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.user_account
    ADD CONSTRAINT user_account_name_key UNIQUE (name);
ALTER TABLE ONLY public.user_account
    ADD CONSTRAINT user_account_pkey PRIMARY KEY (id);
CREATE INDEX ix_server_project_id ON public.server USING btree (project_id);
ALTER TABLE ONLY public.image
    ADD CONSTRAINT image_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.project(id);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_project_id_fkey FOREIGN KEY (project_id) REFERENCES public.project(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT membership_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.user_account(id) ON DELETE CASCADE;

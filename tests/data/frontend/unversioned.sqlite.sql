BEGIN TRANSACTION;
CREATE TABLE dead_letter (
	digest VARCHAR(64) NOT NULL, 
	body TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	time FLOAT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "dead_letter" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','garbage','JSONDecodeError',1700000000.0);
CREATE TABLE flavor (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	vcpus INTEGER NOT NULL, 
	ram INTEGER NOT NULL, 
	disk INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "flavor" VALUES('33333333-3333-4333-8333-333333333333','small',1,512,5);
CREATE TABLE image (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	owner_id VARCHAR(36), 
	visibility VARCHAR(16) NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	min_disk INTEGER NOT NULL, 
	min_ram INTEGER NOT NULL, 
	created FLOAT NOT NULL, 
	properties JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(owner_id) REFERENCES project (id)
);
INSERT INTO "image" VALUES('44444444-4444-4444-8444-444444444444','debian',NULL,'public',8589934592,'0000000000000000000000000000000000000000000000000000000000000000',3,256,1700000000.0,'{"os_distro": "debian"}');
CREATE TABLE membership (
	user_id VARCHAR(36) NOT NULL, 
	project_id VARCHAR(36) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	PRIMARY KEY (user_id, project_id, role), 
	FOREIGN KEY(user_id) REFERENCES user_account (id) ON DELETE CASCADE, 
	FOREIGN KEY(project_id) REFERENCES project (id) ON DELETE CASCADE
);
INSERT INTO "membership" VALUES('22222222-2222-4222-8222-222222222222','11111111-1111-4111-8111-111111111111','member');
CREATE TABLE network (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	subnet VARCHAR(64), 
	gateway VARCHAR(64), 
	subnet6 VARCHAR(64), 
	gateway6 VARCHAR(64), 
	tags JSON NOT NULL, 
	updated FLOAT NOT NULL, 
	read_order JSON, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "network" VALUES('0bbbbbbb-0000-4000-8000-000000000001','net1','10.0.0.0/24','10.0.0.1','fd00::/64',NULL,'["nfdhcpd"]',1700000000.0,'[1700000000, 5, 7, 0, 4]');
CREATE TABLE project (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	max_servers INTEGER NOT NULL, 
	max_cores INTEGER NOT NULL, 
	max_ram INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "project" VALUES('11111111-1111-4111-8111-111111111111','blue',3,4,4096);
CREATE TABLE removed_network (
	name VARCHAR(255) NOT NULL, 
	"order" JSON NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "removed_network" VALUES('old','[1700000000, 5, 8, 0, 4]');
CREATE TABLE server (
	id VARCHAR(36) NOT NULL, 
	instance VARCHAR(255) NOT NULL, 
	project_id VARCHAR(36) NOT NULL, 
	user_id VARCHAR(36) NOT NULL, 
	name TEXT NOT NULL, 
	flavor_id VARCHAR(36) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	vcpus INTEGER NOT NULL, 
	ram INTEGER NOT NULL, 
	disk INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	task VARCHAR(32), 
	fault TEXT, 
	host VARCHAR(255), 
	nics JSON NOT NULL, 
	created FLOAT NOT NULL, 
	updated FLOAT NOT NULL, 
	deleted FLOAT, 
	job INTEGER, 
	job_order JSON, 
	power VARCHAR(16), 
	clocks JSON, 
	PRIMARY KEY (id), 
	UNIQUE (instance)
);
INSERT INTO "server" VALUES('7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11','gx-7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11','11111111-1111-4111-8111-111111111111','22222222-2222-4222-8222-222222222222','Größe 1','33333333-3333-4333-8333-333333333333','44444444-4444-4444-8444-444444444444',1,512,5,'ACTIVE',NULL,NULL,'node1','[{"network": "net1", "ip": "10.0.0.2", "ip6": null, "mac": "aa:00:00:12:34:56", "uuid": "n1"}]',1700000000.0,1700000005.0,NULL,10,'[1700000005, 0, 10, 0, 4]','ACTIVE','{"power": [1700000005, 0, 10, 0, 4]}');
CREATE TABLE user_account (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	password_hash VARCHAR(255) NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "user_account" VALUES('22222222-2222-4222-8222-222222222222','ann','pbkdf2:sha256:1$x$y',1);
CREATE INDEX ix_server_project_id ON server (project_id);
COMMIT;

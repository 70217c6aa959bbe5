-- What RDS gives its master user: much, but not everything.
create role rds_superuser;
create role rds_password;
grant pg_monitor, pg_signal_backend to rds_superuser;
create role master login createrole createdb password :'password';
grant rds_superuser to master;
create database rdsadmin owner rdsadmin;
revoke connect on database rdsadmin from public;
set role master;
create role "Reader ""R""";
create role writer noinherit connection limit 3;
create role owner_of_things login password 'x';
grant "Reader ""R""" to writer with admin option;
grant owner_of_things to writer;
comment on role writer is 'it''s a writer; -- really';
alter role writer set work_mem to '8MB';
alter role master set search_path to "$user", public;
reset role;
create database empty owner master;
create database shop owner master;
create database blueprint owner master is_template true;
create database "we""ird. näme=x" owner owner_of_things;
alter database shop set timezone to 'Asia/Tokyo';
alter role writer in database shop set statement_timeout to '1min';
grant create, connect on database shop to writer;
comment on database shop is 'the shop';
\connect shop
grant all on schema public to rds_superuser;
grant create on schema public to public;
create extension pg_trgm;
create extension hstore;
create schema app authorization owner_of_things;
set role owner_of_things;
create type app.mood as enum ('sad', 'o;k', 'it''s');
create domain app.percent as int check (value between 0 and 100);
create table app.items (
  id bigint generated always as identity primary key,
  name text not null unique,
  feeling app.mood default 'o;k',
  share app.percent,
  doubled int generated always as (share * 2) stored,
  blob bytea,
  tags hstore,
  at timestamptz default '2026-11-21 09:00:00+00',
  doc jsonb
);
comment on table app.items is E'COPY evil FROM stdin;\nnot data\n\\.';
insert into app.items (name, share, blob, tags, doc) values
  (E'tab\there', 1, '\x00ff5c2e0a', 'a=>1', '{"a": [1, null]}'),
  (E'line\nbreak', 2, null, null, null),
  (E'\\.', 3, '\x', '', '{}'),
  ('\N', null, '\x5c4e', null, '[]'),
  ('ünïcödé 🦆', 100, null, null, null),
  ('', 0, null, null, null);
create table app."Weird ""Name"".tbl*" ("Col ""1"";" int, "select" text);
insert into app."Weird ""Name"".tbl*" select i, repeat(md5(i::text), 10) from generate_series(1, 3000) i;
create table app."line
break" (x int);
insert into app."line
break" values (1), (2);
create table app.nothing ();
insert into app.nothing default values;
insert into app.nothing default values;
create table app.events (at date not null, what text) partition by range (at);
create table app.events_2025 partition of app.events for values from ('2025-01-01') to ('2026-01-01');
create table app.events_2026 partition of app.events for values from ('2026-01-01') to ('2027-01-01');
insert into app.events select '2025-06-01'::date + i, 'event ' || i from generate_series(0, 400) i;
create index on app.events (what);
create materialized view app.counts as select extract(year from at) as year, count(*) from app.events group by 1;
create view app.recent as select * from app.events where at > '2026-01-01';
create sequence app.numbers start 7 increment 5;
select nextval('app.numbers'), nextval('app.numbers');
create function app.evil() returns text language sql as $$
COPY x FROM stdin;
select E'\\.'::text;
$$;
create function app.stamp() returns trigger language plpgsql as $$ begin new.at = '2020-01-01'; return new; end $$;
create trigger stamp before insert on app.items for each row when (new.name = 'never') execute function app.stamp();
create table app.child (id int primary key, item bigint references app.items);
insert into app.child values (1, 1), (2, null);
alter table app.child enable row level security;
create policy own on app.child using (id = 1);
grant select on app.items to "Reader ""R""" with grant option;
grant insert (name) on app.items to writer;
alter default privileges in schema app grant select on tables to writer;
create unlogged table app.volatile as select 1 as x;
reset role;
set role master;
select lo_from_bytea(424242, '\xdeadbeef00ff');
select lo_from_bytea(424243, decode(repeat('0123456789abcdef', 20000), 'hex'));
create table public.words (word text);
insert into public.words values ('a'), ('b');
create index words_trgm on public.words using gin (word gin_trgm_ops);
reset role;
set role owner_of_things;
select lo_from_bytea(424244, '\x01');
reset role;
\connect blueprint
set role master;
create table public.defaults (name text primary key, value int);
insert into public.defaults select 'default ' || i, i from generate_series(1, 23) i;
reset role;

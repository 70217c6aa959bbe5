-- What MySQL 8 and later have and MariaDB has not, and what a dump can lose. ':password' is replaced.
create user admin_user@'%' identified by ':password';
grant select, insert, update, delete, create, drop, reload, process, references, index, alter, show databases, create temporary tables, lock tables,
  execute, replication slave, replication client, create view, show view, create routine, alter routine, create user, event, trigger, create role,
  drop role on *.* to admin_user@'%' with grant option;
create database shop character set utf8mb4 collate utf8mb4_0900_ai_ci;
create database `odd ``name``; --`;
create database vacant;
create role another;
create role reader;
create user 'app'@'10.%' identified by 'app' default role another, reader require ssl with max_user_connections 5;
create user `we``ird 'user`@'%' identified by 'it''s' failed_login_attempts 3 password_lock_time 2;
create user 'old'@'%' identified with caching_sha2_password by 'x' password expire interval 90 day comment 'a comment';
use shop;
create table items (
  id bigint auto_increment primary key,
  name varchar(200) not null,
  raw_bytes varbinary(300),
  doc json,
  price decimal(10, 2) default 1.5,
  at timestamp(6) default '2026-11-21 09:00:00',
  uid binary(16) default (uuid_to_bin(uuid())),
  feeling enum('sad', 'o;k', 'it''s'),
  bits bit(9),
  place point srid 4326,
  hidden int invisible default 5,
  doubled decimal(11, 2) as (price * 2) virtual,
  described varchar(300) as (concat('(', name, ',')) stored unique,
  index falling (price desc),
  index unused (name) invisible,
  index computed ((lower(name))),
  check (price > 0)
) comment 'INSERT INTO `x` VALUES\n(1),';
insert into items (name, raw_bytes, doc, feeling, bits, place) values
  ('tab\there', 0x00ff5c2e0a27, '{"a": [1, null]}', 'it''s', b'101010101', st_srid(point(1, 2), 4326)),
  ('line\nbreak),\n(', null, null, 'o;k', null, null),
  ('it''s \\ "quoted";', '', '{}', null, b'0', null),
  ('ünïcödé 🦆', 0x5c, '[]', 'sad', null, null);
update items set hidden = id * 7;
create table many (id int primary key, what text);
set cte_max_recursion_depth = 5000;
insert into many with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000) select i, repeat(sha2(i, 256), 5) from n;
create table parts (id int, d date) partition by range (year(d)) (partition p1 values less than (2025), partition p2 values less than maxvalue);
create table computed (twice int as (id * 2), id int primary key, thrice int as (id * 3) stored, what text);
insert into computed (id, what) values (1, '),(9,'), (2, null), (3, 'it''s \\');
insert into parts values (1, '2024-01-01'), (2, '2026-01-01');
set sql_generate_invisible_primary_key = on;
create table keyless (v int);
insert into keyless values (7), (8);
set sql_generate_invisible_primary_key = off;
create view cheap as select id, name from items where price < 2;
delimiter ;;
create procedure evil(in x int)
begin
  -- it's a comment
  select 'INSERT INTO `items` VALUES
(1,2);' as text;
end;;
create function twice(x int) returns int deterministic return x * 2;;
create trigger stamp before insert on items for each row begin if new.name = 'never' then set new.price = 0; end if; end;;
set sql_mode = 'NO_BACKSLASH_ESCAPES';;
create trigger backslash before update on items for each row set new.feeling = if(new.name = '\', 'sad', new.feeling);;
set sql_mode = default;;
create event nightly on schedule every 1 day starts '2030-01-01 00:00:00' do delete from shop.many where id < 0;;
delimiter ;
grant select on shop.* to reader;
grant another, reader to 'app'@'10.%';
grant select (id, name), update (name) on shop.items to `we``ird 'user`@'%';
grant execute on procedure shop.evil to `we``ird 'user`@'%';
grant backup_admin, role_admin on *.* to 'old'@'%';

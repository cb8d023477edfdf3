-- Copies of the store's tables for pgbench, one schema for each script: columns, indexes and storage are the store's own,
-- so a migration changes both alike. A sequence with a cache stands for the range that nossos números are taken from.

create schema one_row;
create schema same_rows;
create sequence one_row.number cache 100;
create sequence same_rows.number cache 100;

do $$
declare
    copied record;
begin
    for copied in
        select place, relname, coalesce('with (' || array_to_string(reloptions, ', ') || ')', '') as options
        from (values
            ('one_row', 'boleto'),
            ('same_rows', 'request_key'),
            ('same_rows', 'boleto'),
            ('same_rows', 'boleto_event'),
            ('same_rows', 'work'),
            ('same_rows', 'work_archive'),
            ('same_rows', 'delivery')
        ) as wanted (place, name)
        join pg_class on pg_class.oid = wanted.name::regclass
    loop
        -- "like" takes everything over but the storage options.
        execute format('create table %I.%I (like %I including all) %s',
            copied.place, copied.relname, copied.relname, copied.options);
    end loop;
end
$$;

"""Operations on dictionaries and records, and calls of existing methods; the format is explained in
`scripts.curriculum`."""

OPERATIONS = r"""
change X:dict key:key value:valueof
{put,insert,place,store,save,set}_{in,into}_X put_X {enter,write,record}_in_X {set,assign}_X {put,set}_X_{entry,value,at,for}
puts value into X under key -> value
    self.X[key] = value
    return value

change X:dict key:key value:valueof
{add,register,append,record,include,insert,enter}_X {add,register}_to_X add_{entry,key}_to_X add_X_entry
puts value into X under key -> the new size
    self.X[key] = value
    return len(self.X)

change X:dict key:key
{remove,delete,drop,discard,erase,unregister,exclude,strike,dismiss,cancel}_X {remove,delete,drop,discard,erase,strike}_from_X {remove,delete,drop}_{key,entry}_from_X {remove,delete}_X_{entry,key} remove_from_X
removes key from X ! key is not in it -> the new size
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    del self.X[key]
    return len(self.X)

change X:dict key:key
{take,pop,pull}_X {take,pop,pull}_{from,out_of}_X
removes key from X ! key is not in it -> what stood there
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    return self.X.pop(key)

change X:dict old_key:key new_key:newkey
{rename,rekey}_{X,in_X} {rename}_{key_in,key_of,entry_in,entry_of}_X rename_X_{key,entry}
gives what stands under old_key in X the name new_key ! old_key is not in it -> the new size
    if old_key not in self.X:
        raise KeyError(f'{old_key} is not in X')
    self.X[new_key] = self.X.pop(old_key)
    return len(self.X)

change X:dict key:key value:valueof
{update,change,replace,overwrite,correct,edit}_X {update,change,replace,overwrite}_in_X {update,change}_X_entry
puts value into X in the place of what stands under key ! key is not in it -> value
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    self.X[key] = value
    return value

change X:dictint key:key
{tally,count,mark,score,note}_in_X {tally}_X {count_one,add_one}_{in,to}_X count_up_in_X
counts key once more in X -> the new count
    self.X[key] = self.X.get(key, 0) + 1
    return self.X[key]

change X:dictnum key:key amount:num
{increase,raise,add,boost,deposit,credit,restock,add_amount}_{in,X}_X {increase,raise,boost,restock,credit}_X add_{amount_to,to}_X_{entry,of}
adds amount to what stands under key in X -> the new value there
    self.X[key] = self.X.get(key, 0) + amount
    return self.X[key]

change X:dictnum key:key amount:num
{withdraw,take,deduct,spend,use,remove,subtract,sell}_from_X {withdraw,use,consume,spend,deduct,sell,decrease,reduce,lower}_X {decrease,reduce,lower}_in_X
takes amount off what stands under key in X ! key is not in it or it is less -> the new value there
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    if amount > self.X[key]:
        raise ValueError(f'not enough {key} in X')
    self.X[key] -= amount
    return self.X[key]

change X:dict other:samedict
{merge,update,extend,join,combine}_X {merge,update,extend,combine}_X_{with,by} {merge_into,add_all_to,put_all_in,add_all,put_all_into}_X
puts all of other into X -> the new size
    self.X.update(other)
    return len(self.X)

change X:dict other:samedict
{set,assign,replace,overwrite}_X {set,change}_X_to replace_all_X
puts other in the place of X -> the new size
    self.X = dict(other)
    return len(self.X)

change X:dictlist key:key item:scalar
{add,append,push,file,put_under}_{to,in,X}_X {append,push,file}_X
adds item to the list under key in X -> the new size of that list
    self.X.setdefault(key, []).append(item)
    return len(self.X[key])

read X:dictlist key:key ! key is not in it
{count,number_of,how_many,count_in,size_in}_{X,in_X} X_{count,count_of,size_of}
how many elements stand under key in X
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    return len(self.X[key])

change X:dictnum
double_{all,every,each}_X double_each_of_X double_X
doubles every value in X -> the new size
    self.X = {k: v * 2 for k, v in self.X.items()}
    return len(self.X)

change X:dictnum amount:num
{increase,raise,boost}_{all,every,each}_X {increase,raise,boost}_X_by
adds amount to every value in X -> the new size
    self.X = {k: v + amount for k, v in self.X.items()}
    return len(self.X)

change X:dictnum limit:num
{cap,limit}_X_{at,to} {cap,limit}_{all,every,each}_X
lowers every value in X to limit if it is more -> the new size
    self.X = {k: min(v, limit) for k, v in self.X.items()}
    return len(self.X)

change X:dictnum limit:num
{remove,drop,delete}_X_{below,under} {remove,drop,delete}_from_X_below
removes what is below limit from X -> the new size
    self.X = {k: v for k, v in self.X.items() if v >= limit}
    return len(self.X)

change X:dictnum limit:num
{remove,drop,delete}_X_{above,over} {remove,drop,delete}_from_X_above
removes what is above limit from X -> the new size
    self.X = {k: v for k, v in self.X.items() if v <= limit}
    return len(self.X)

change X:dicttext
{invert,flip,reverse,turn_around}_X swap_keys_and_values_of_X
makes the values of X its keys and its keys the values -> the new size
    self.X = {v: k for k, v in self.X.items()}
    return len(self.X)

read X:dict key:key ! key is not in it
{get,look_up,find,entry_of,value_of,value_in,read,fetch,get_from,look_up_in,find_in,entry_in,lookup,lookup_in,show,entry_for}_X X_{of,for,at,entry,value,by_key,under,entry_for,lookup} X
what stands under key in X
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    return self.X[key]

read X:dict key:key default:valueof
{get,look_up,find,value_of}_X_or {get,look_up,find,value_in}_X {get,look_up}_X_or_default X_{of_or,or,with_default} {get,look_up}_in_X_or
what stands under key in X, or default
    return self.X.get(key, default)

read X:dict
{keys_of,keys_in,names_in,keys,labels_in,names_of,entries_in}_X X_{keys,names,labels}
the keys of X
    return list(self.X)

read X:dict
{sorted_keys_of,sorted_keys_in,sorted,ordered,ordered_keys_of,sorted_names_in}_X X_{sorted,sorted_keys,keys_sorted,in_order,ordered}
the keys of X in order
    return sorted(self.X)

read X:dict
{values_of,values_in,values}_X X_values
the values of X
    return list(self.X.values())

read X:dictscalar
{sorted_values_of,sorted_values_in}_X X_{sorted_values,values_sorted}
the values of X in order
    return sorted(self.X.values())

read X:dict
{items_of,pairs_of,pairs_in,pairs}_X X_{items,pairs,as_pairs}
the keys and values of X in pairs
    return [[k, v] for k, v in self.X.items()]

read X:dictnum
{total_of,sum_of,total,sum,overall,total_in,sum_in,grand_total_of,sum_of_all,sum_up,add_up,total_of_all}_X X_{total,sum,in_total,altogether,added_up}
the sum of the values of X
    return sum(self.X.values())

read X:dictnum ! X is empty
{average,mean,average_of,mean_of,average_in,avg,mean_in,typical}_X X_{average,mean,avg,on_average}
the mean of the values of X
    if not self.X:
        raise ValueError('X is empty')
    return sum(self.X.values()) / len(self.X)

read X:dictnum ! X is empty
{median,median_of,median_in}_X X_median
the median of the values of X
    if not self.X:
        raise ValueError('X is empty')
    return statistics.median(self.X.values())

read X:dictnum ! X is empty
{largest,biggest,greatest,highest,maximum,max,largest_value_in,highest_value_in,maximum_of,largest_value_of,largest_of,highest_of,max_of}_X X_{maximum,max,highest,largest,peak}
the largest value of X
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X.values())

read X:dictnum ! X is empty
{smallest,lowest,least,minimum,min,smallest_value_in,lowest_value_in,minimum_of,smallest_value_of,smallest_of,lowest_of,min_of}_X X_{minimum,min,lowest,smallest}
the smallest value of X
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X.values())

read X:dictnum ! X is empty
{best_in,best,top_in,leader_in,winner_in,key_of_largest_in,leader_of,winner_of,first_in,champion_of,champion_in,top,dearest_in,best_of,most_in,highest_key_in}_X X_{best,winner,leader,champion,top} {key_of_largest,key_with_largest}_{in_X,X} {who_has_most,who_leads_in}_X
the key of the largest value in X
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X, key=self.X.get)

read X:dictnum ! X is empty
{worst_in,worst,bottom_of,loser_in,key_of_smallest_in,last_in,loser_of,cheapest_in,weakest_in,worst_of,lowest_key_in,least_in}_X X_{worst,loser,weakest,bottom} who_has_least_in_X
the key of the smallest value in X
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X, key=self.X.get)

read X:dictnum size:small
{best,top,top_of,leaders_of,best_in,leaders_in}_X X_{top,best,leaders}
the keys of the largest values in X
    return sorted(self.X, key=self.X.get, reverse=True)[:size]

read X:dictnum
{ranking_of,ranking_in,ranked,keys_by_value_in,order_of}_X X_{ranking,ranked,by_value,sorted_by_value,keys_by_value} {sorted_by_value}_X
the keys of X by falling value
    return sorted(self.X, key=self.X.get, reverse=True)

read X:dictnum limit:num
X_{above,over,greater_than,more_than,larger_than,higher_than,exceeding}
what is above limit in X
    return {k: v for k, v in self.X.items() if v > limit}

read X:dictnum limit:num
X_{below,under,less_than,smaller_than,lower_than}
what is below limit in X
    return {k: v for k, v in self.X.items() if v < limit}

read X:dictnum limit:num
{names_with,keys_with,who_has}_X_{above,over,more_than} {keys_in,names_in}_X_{above,over,more_than} X_keys_above
the keys of X whose value is above limit
    return [k for k, v in self.X.items() if v > limit]

read X:dictnum limit:num
{names_with,keys_with,who_has}_X_{below,under,less_than} {keys_in,names_in}_X_{below,under,less_than} X_keys_below
the keys of X whose value is below limit
    return [k for k, v in self.X.items() if v < limit]

read X:dictnum limit:num
{count,number_of,how_many,count_of}_X_{above,over,more_than}
how many values of X are above limit
    return sum((v > limit for v in self.X.values()))

read X:dictnum limit:num
{count,number_of,how_many,count_of}_X_{below,under,less_than}
how many values of X are below limit
    return sum((v < limit for v in self.X.values()))

read X:dictscalar value:valueof ! value is not in it
{key_of,key_for,who_has,find_key_of,key_of_value_in,key_for_value_in,name_of_value_in}_X X_{key_of,key_for,with_value}
the first key of X with that value
    for k, v in self.X.items():
        if v == value:
            return k
    raise KeyError(f'{value} is not in X')

read X:dictscalar value:valueof
{keys_of,keys_for,keys_with,all_with}_X {keys_with_value_in,all_keys_of}_X X_{keys_of,keys_with}
all keys of X with that value
    return [k for k, v in self.X.items() if v == value]

read X:dicttext
{inverted,flipped,reversed,swapped}_X X_{inverted,flipped,swapped} inverse_of_X
X with keys and values exchanged
    return {v: k for k, v in self.X.items()}

read X:dicttext
{upper,uppercase,uppercased}_X X_{upper,uppercase,in_capitals}
X with every value in capitals
    return {k: v.upper() for k, v in self.X.items()}

read X:dictnum
{doubled}_X X_doubled
X with every value doubled
    return {k: v * 2 for k, v in self.X.items()}

read X:dictnum percent:num
{discounted,reduced}_X X_{discounted,after_discount}
X with every value less percent of itself
    return {k: v * (100 - percent) / 100 for k, v in self.X.items()}

read X:dictnum key:key ! key is not in it or all is zero
{share_of,share_in,part_of,percentage_of,share}_X X_{share,share_of,percentage}
the value under key as a percentage of the sum of X
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    total = sum(self.X.values())
    if total == 0:
        raise ValueError('X is zero')
    return self.X[key] * 100 / total

read X:dictnum keys:keylist
{total_for,sum_for,total_of_keys_in}_X X_{total_for,sum_of,total_of}
the sum of what stands in X under the keys
    return sum((self.X.get(k, 0) for k in keys))

read X:dict key:key
X_without {without}_X
X without key
    return {k: v for k, v in self.X.items() if k != key}

ask X:dict key:key
{has,includes,contains,is_in,knows,has_key_in,has_entry_in,is_there_in,is_known_in}_X X_{has,contains,includes,has_key,knows,contain} does_X_{contain,include,have} has_X_{key,entry,for,of} has_key_X
key is in X
    return key in self.X

ask X:dictscalar value:valueof
{has_value_in,is_value_in}_X X_{has_value,contains_value} does_X_contain_value
value is among the values of X
    return value in self.X.values()

ask X:dictnum limit:num
{any,is_any,has_any}_X_{above,over,more_than}
a value of X is above limit
    return any((v > limit for v in self.X.values()))

ask X:dictnum limit:num
{all,are_all,every}_X_{above,over,more_than}
every value of X is above limit
    return all((v > limit for v in self.X.values()))

ask X:dictnum key:key limit:num
is_X_{of_above,above} {has_enough,enough}_{X,in_X}
what stands under key in X is more than limit
    return self.X.get(key, 0) > limit

ask X:dictnum Y:samedict
is_X_{larger_than,longer_than}_Y
X has more entries than Y
    return len(self.X) > len(self.Y)

read X:dict Y:samedict
{merged,combined,joined}_X_and_Y X_{and,with,merged_with,plus}_Y X_and_Y_{merged,together,combined}
X and Y in one
    return {**self.X, **self.Y}

read X:dict Y:samedict
{common_keys_of,shared_keys_of,common}_X_and_Y X_keys_in_Y
the keys of X that are in Y too
    return [k for k in self.X if k in self.Y]

read X:dictnum Y:samedict
{total_of,sum_of,total}_X_and_Y
the sum of the values of X and Y
    return sum(self.X.values()) + sum(self.Y.values())

change X:dict Y:samedict key:key
{move,transfer,shift}_{X,from_X}_to_Y {move,transfer}_X_into_Y
takes key out of X and puts it into Y ! key is not in X -> the new value of Y
    if key not in self.X:
        raise KeyError(f'{key} is not in X')
    self.Y[key] = self.X.pop(key)
    return dict(self.Y)

read X:dictof F:keyof
F_{of,in,from,at}_X X_F {value_of,get,read,current}_X_F
what stands under F in X
    return self.X['F']

change X:dictofnum F:keyof amount:num
{increase,raise,boost,add_to}_F_{in,of}_X {increase,raise,boost}_X_F
adds amount to what stands under F in X -> the new value there
    self.X['F'] += amount
    return self.X['F']

change X:dictof F:keyof value:valueof
{set,put,change,update}_F_{in,of}_X {set,change,update}_X_F
puts value into X under F -> value
    self.X['F'] = value
    return value

read X:records F:numfield
{total,sum_of,total_of,sum,overall,combined}_F_{of,in,for}_X {total,sum_of,total_of,sum,overall}_X_F X_F_{total,sum} {total,sum_of,total_of}_F_of_all_X
the sum of F over X
    return sum((each['F'] for each in self.X))

read X:records F:numfield ! X is empty
{average,mean,average_of,mean_of}_F_{of,in,for}_X {average,mean,average_of}_X_F X_F_{average,mean}
the mean of F over X
    if not self.X:
        raise ValueError('X is empty')
    return sum((each['F'] for each in self.X)) / len(self.X)

read X:records F:numfield ! X is empty
{largest,highest,maximum,biggest,max,greatest}_F_{of,in,among}_X {largest,highest,maximum,biggest,max}_X_F X_F_{maximum,max}
the largest F in X
    if not self.X:
        raise ValueError('X is empty')
    return max((each['F'] for each in self.X))

read X:records F:numfield ! X is empty
{smallest,lowest,minimum,least,min}_F_{of,in,among}_X {smallest,lowest,minimum,min}_X_F X_F_{minimum,min}
the smallest F in X
    if not self.X:
        raise ValueError('X is empty')
    return min((each['F'] for each in self.X))

read X:records F:numfield ! X is empty
{best,top}_{X_by_F,X_in_F} X_with_{largest,highest,most,biggest,maximum}_F {largest}_X_by_F
the element of X with the largest F
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X, key=lambda each: each['F'])

read X:records F:numfield ! X is empty
{worst}_{X_by_F,X_in_F} X_with_{smallest,lowest,least,minimum}_F {smallest}_X_by_F
the element of X with the smallest F
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X, key=lambda each: each['F'])

read X:records F:anyfield
F_{of,in,from}_{X,all_X} {all,every,list_of,each}_F_{of,in}_X X_F {list,all}_X_F
the F of every element of X
    return [each['F'] for each in self.X]

read X:records F:anyfield
{sorted,ordered}_X_by_F X_{sorted_by,ordered_by,by,in_order_of}_F
X in order of F
    return sorted(self.X, key=lambda each: each['F'])

read X:records F:numfield
X_{sorted_by,by}_F_descending X_by_falling_F
X in falling order of F
    return sorted(self.X, key=lambda each: each['F'], reverse=True)

change X:records F:anyfield
{sort,order,arrange}_X_by_F
puts X in order of F -> the new size
    self.X.sort(key=lambda each: each['F'])
    return len(self.X)

read X:records F:anyfield value:fieldvalue
X_{with,by,where,of,whose,having,where_F_is,with_same}_F {find_all,all,filter,select}_X_{with,by}_F {filter,select}_X_by_F X_where_F_is
the elements of X with that F
    return [each for each in self.X if each['F'] == value]

read X:records F:anyfield value:fieldvalue ! there is none
{find,get,look_up,search,first,find_first,fetch,locate}_X_{by,with}_F {find,get}_by_F_in_X
the first element of X with that F
    for each in self.X:
        if each['F'] == value:
            return each
    raise KeyError(f'no such F in X')

read X:records F:anyfield value:fieldvalue
{count,number_of,how_many}_X_{with,by,of,having,where}_F count_X_where_F_is
how many elements of X have that F
    return sum((each['F'] == value for each in self.X))

read X:records F:numfield limit:num
X_with_F_{above,over,more_than} X_{with_more_F_than,above_F,whose_F_exceeds}
the elements of X with F above limit
    return [each for each in self.X if each['F'] > limit]

read X:records F:numfield limit:num
X_with_F_{below,under,less_than} X_{with_less_F_than,below_F}
the elements of X with F below limit
    return [each for each in self.X if each['F'] < limit]

read X:records F:numfield limit:num
{count,number_of,how_many}_X_with_F_{above,over}
how many elements of X have F above limit
    return sum((each['F'] > limit for each in self.X))

read X:records F:textfield G:numfield
X_{G_by_F,F_to_G} G_of_X_by_F G_by_F_{of,in}_X
the sum of G in X for each F
    return {k: sum((each['G'] for each in self.X if each['F'] == k)) for k in dict.fromkeys((each['F'] for each in self.X))}

read X:records F:textfield G:numfield value:fieldvalue
{total,sum_of}_G_of_X_{with,by,for}_F total_G_for_F_in_X
the sum of G over the elements of X with that F
    return sum((each['G'] for each in self.X if each['F'] == value))

read X:records F:numfield G:numfield
total_F_times_G_{of,in,for}_X {total_of,sum_of}_F_times_G_{of,in}_X
the sum of F times G over X
    return sum((each['F'] * each['G'] for each in self.X))

read X:records F:textfield
{count_by,count,counts_by,counts_of}_F_{of,in}_X X_count_by_F {count,number_of}_X_{per,for_each}_F
how many elements of X have each F
    return {k: sum((each['F'] == k for each in self.X)) for k in dict.fromkeys((each['F'] for each in self.X))}

read X:records F:textfield
{grouped,arranged}_X_by_F X_{grouped_by,by_each}_F {groups_of}_X_by_F
the elements of X for each F
    return {k: [each for each in self.X if each['F'] == k] for k in dict.fromkeys((each['F'] for each in self.X))}

read X:records F:anyfield
{unique,distinct,different}_F_{of,in}_X X_{unique,distinct}_F
the different F in X
    return list(dict.fromkeys((each['F'] for each in self.X)))

ask X:records F:anyfield value:fieldvalue
{has,is_there,contains,any}_X_{with,by,of}_F {is_F_in,has_F_in}_X
an element of X has that F
    return any((each['F'] == value for each in self.X))

change X:records F:anyfield value:fieldvalue
{remove,delete,drop}_X_{with,by}_F {remove,delete}_from_X_by_F
removes the elements with that F from X ! there is none -> the new size
    if not any((each['F'] == value for each in self.X)):
        raise KeyError(f'no such F in X')
    self.X = [each for each in self.X if each['F'] != value]
    return len(self.X)

change X:records F:numfield amount:num
{increase,raise,boost}_F_of_{X,all_X} {increase,raise,boost}_{all_,}X_F
adds amount to F of every element of X -> the new size
    for each in self.X:
        each['F'] += amount
    return len(self.X)

call M:any1
M_{twice,again_and_again,two_times}
does M twice -> what the last one answers
    self.M(value)
    return self.M(value)

call M:any1
M_{thrice,three_times}
does M three times -> what the last one answers
    self.M(value)
    self.M(value)
    return self.M(value)

call M:any0
M_{twice,again}
does M twice -> what the last one answers
    self.M()
    return self.M()

call M:any0
M_{thrice,three_times}
does M three times -> what the last one answers
    self.M()
    self.M()
    return self.M()

call M:any0 times:small
M_{times,repeatedly,many_times} {repeatedly}_M
does M so many times -> what each answers
    return [self.M() for i in range(times)]

call M:any1 items:argslist
M_{all,each,every,for_each,for_all,many} {all,each,every}_M
does M with each of the items -> what each answers
    return [self.M(each) for each in items]

call M:any1 N:any1
M_and_N M_then_N
does M and then N -> what N answers
    self.M(value)
    return self.N(value)

call M:any1 N:any1
M_and_N M_then_N
does M with value and then N with other -> what N answers
    self.M(value)
    return self.N(other)

call M:any0 N:any0
M_and_N M_then_N
does M and then N -> what N answers
    self.M()
    return self.N()

call M:any1 N:any0
M_and_N M_then_N
does M with value and then N -> what N answers
    self.M(value)
    return self.N()

call M:any0 N:any1
M_and_N M_then_N
does M and then N with value -> what N answers
    self.M()
    return self.N(value)
"""

"""Operations on lists and sets; the format is explained in `scripts.curriculum`."""

OPERATIONS = r"""
change X:list item:elem
{add,append,push,include,insert,enqueue,record,log,collect,save,register,enter,note,attach,enrol}_X {add,append,push,insert,attach}_to_X {put,add}_at_end_of_X {extend}_X_by_one {add,append}_item_to_X
adds item to the end of X -> the new size
    self.X.append(item)
    return len(self.X)

change X:list item:elem
{put,insert,place,store,drop}_{in,into}_X put_X
puts item at the end of X -> item
    self.X.append(item)
    return item

change X:list item:elem
{prepend,unshift}_{X,to_X} {insert,put,add}_{at_start_of,at_front_of,first_in,in_front_of,at_beginning_of}_X
puts item at the front of X -> the new size
    self.X.insert(0, item)
    return len(self.X)

change X:list items:samelist
{extend,append_all,add_all,add_many}_{X,to_X} extend_X_{with,by} {add,append,push}_{all_to,many_to}_X {concat,merge_into,join_to}_X
adds all items to the end of X -> the new size
    self.X.extend(items)
    return len(self.X)

change X:list index:index item:elem ! there is no such place
{insert,put}_{in_X_at,into_X_at,at} {insert}_X_at
puts item into X at index ! there is no such place -> the new size
    if not 0 <= index <= len(self.X):
        raise ValueError('no such place in X')
    self.X.insert(index, item)
    return len(self.X)

change X:list index:index item:elem
{replace,set,change,update,overwrite}_{in_X_at,X_at,at_X}
puts item in the place of what stands at index in X ! there is no such place -> the new size
    if not 0 <= index < len(self.X):
        raise ValueError('no such place in X')
    self.X[index] = item
    return len(self.X)

change X:list item:elem
{remove,delete,discard,drop,exclude,strike,dismiss,kick,erase,unregister,cancel,eject,withdraw}_X {remove,delete,drop,discard,strike,exclude,erase}_from_X {remove,delete,drop}_item_from_X get_rid_of_X
removes item from X ! item is not in it -> the new size
    if item not in self.X:
        raise ValueError(f'{item} is not in X')
    self.X.remove(item)
    return len(self.X)

change X:list item:elem
{take,pull,fetch_out}_X {take,pull}_{from,out_of}_X
removes item from X ! item is not in it -> item
    if item not in self.X:
        raise ValueError(f'{item} is not in X')
    self.X.remove(item)
    return item

change X:list
{pop,take,take_last,pop_last,pull}_X {pop,take_last,pop_last,take}_{from,of,off,out_of}_X
removes the last element of X ! X is empty -> the element
    if not self.X:
        raise ValueError('X is empty')
    return self.X.pop()

change X:list
{shift,dequeue,take_first,pop_first,serve,take_next}_X {take_first,pop_first,dequeue,take_next}_{from,of}_X
removes the first element of X ! X is empty -> the element
    if not self.X:
        raise ValueError('X is empty')
    return self.X.pop(0)

change X:list index:index
{pop,take_nth}_X {pop,take}_X_at {take_at,pop_at}_X
removes the element at index from X ! there is no such place -> the element
    if not 0 <= index < len(self.X):
        raise ValueError('no such place in X')
    return self.X.pop(index)

change X:list index:index
{remove,delete,drop}_{from_X_at,X_at,nth_of_X}
removes the element at index from X ! there is no such place -> the new size
    if not 0 <= index < len(self.X):
        raise ValueError('no such place in X')
    self.X.pop(index)
    return len(self.X)

change X:list
{remove,drop,delete}_last_{X,of_X,from_X,in_X} undo_last_X
removes the last element of X ! X is empty -> the new size
    if not self.X:
        raise ValueError('X is empty')
    self.X.pop()
    return len(self.X)

change X:list
{remove,drop,delete}_first_{X,of_X,from_X,in_X}
removes the first element of X ! X is empty -> the new size
    if not self.X:
        raise ValueError('X is empty')
    self.X.pop(0)
    return len(self.X)

change X:list item:elem
{remove_all,remove_every,delete_all,purge,drop_all}_{X,from_X,in_X} remove_every_from_X
removes item from X wherever it stands -> the new size
    self.X = [each for each in self.X if each != item]
    return len(self.X)

change X:container
{clear,reset,empty,wipe,purge,flush,erase,drop_all,remove_all,delete_all,clean_out,forget_all}_X remove_all_from_X {clear,wipe,empty}_all_X
empties X -> the new size
    self.X.clear()
    return 0

change X:list
{reverse,flip,turn_around,invert,mirror}_X turn_X_{around,over} reverse_order_of_X
turns X from back to front -> the new size
    self.X.reverse()
    return len(self.X)

change X:scalars
{sort,order,arrange,put_in_order,rank}_X {put,bring}_X_in_order order_X_ascending sort_X_{ascending,upwards}
puts X in order -> the new size
    self.X.sort()
    return len(self.X)

change X:scalars
{sort,order}_X_{descending,downwards,backwards,in_reverse} reverse_sort_X {sort,order}_down_X sort_descending_X
puts X in falling order -> the new size
    self.X.sort(reverse=True)
    return len(self.X)

change X:texts
{sort,order}_X_by_length
puts X in order of length -> the new size
    self.X.sort(key=len)
    return len(self.X)

change X:scalars
{deduplicate,dedupe,uniquify}_X remove_{duplicates,doubles,repeats}_{from,of,in}_X {make}_X_unique drop_duplicates_{from,in}_X
keeps every element of X once -> the new size
    self.X = list(dict.fromkeys(self.X))
    return len(self.X)

change X:list
{duplicate,repeat}_X write_X_twice
writes X twice -> the new size
    self.X.extend(list(self.X))
    return len(self.X)

change X:list
{rotate,cycle}_X rotate_X_left
puts the first element of X at its end -> the new size
    if self.X:
        self.X.append(self.X.pop(0))
    return len(self.X)

change X:list size:small
{truncate,trim,shorten,cut,crop}_X {truncate,trim,shorten,cut}_X_to keep_{first,first_of}_X
keeps the first elements of X -> the new size
    self.X = self.X[:size]
    return len(self.X)

change X:nums amount:num
{increase,raise,boost,shift,add_to}_{all,every,each}_X {increase,raise,boost}_X {increase,raise,boost}_X_by {add_to_each_of,add_to_every}_X
adds amount to every number in X -> the new size
    self.X = [each + amount for each in self.X]
    return len(self.X)

change X:nums amount:num
{decrease,lower,reduce,subtract_from}_{all,every,each}_X {decrease,lower,reduce}_X {decrease,lower,reduce}_X_by
takes amount off every number in X -> the new size
    self.X = [each - amount for each in self.X]
    return len(self.X)

change X:nums factor:num
{multiply,scale}_X {multiply,scale}_X_by {multiply,scale}_{all,every,each}_X
multiplies every number in X by factor -> the new size
    self.X = [each * factor for each in self.X]
    return len(self.X)

change X:nums
double_X double_{all,every,each}_X double_each_of_X
doubles every number in X -> the new size
    self.X = [each * 2 for each in self.X]
    return len(self.X)

change X:nums limit:num
{cap,limit}_X_{at,to} {cap,limit}_{all,every,each}_X {cap,limit}_X
lowers every number in X to limit if it is more -> the new size
    self.X = [min(each, limit) for each in self.X]
    return len(self.X)

change X:nums limit:num
{remove,drop,delete}_X_{above,over} {remove,drop,delete}_from_X_above
removes the numbers above limit from X -> the new size
    self.X = [each for each in self.X if each <= limit]
    return len(self.X)

change X:nums limit:num
{remove,drop,delete}_X_{below,under} {remove,drop,delete}_from_X_below
removes the numbers below limit from X -> the new size
    self.X = [each for each in self.X if each >= limit]
    return len(self.X)

change X:nums limit:num
keep_X_{above,over} keep_only_X_above filter_X_above
keeps the numbers above limit in X -> the new size
    self.X = [each for each in self.X if each > limit]
    return len(self.X)

change X:texts
{upcase,capitalize_all}_X {make,turn,put}_X_{upper,uppercase,into_upper_case}
puts every text in X in capitals -> the new size
    self.X = [each.upper() for each in self.X]
    return len(self.X)

change X:texts
{downcase}_X {make,turn,put}_X_{lower,lowercase,into_lower_case}
puts every text in X in small letters -> the new size
    self.X = [each.lower() for each in self.X]
    return len(self.X)

change X:list old_item:elem new_item:elem
{replace,exchange,substitute,rename}_in_X {replace,exchange,substitute,rename}_X
puts new_item in X wherever old_item stands ! old_item is not in it -> the new size
    if old_item not in self.X:
        raise ValueError(f'{old_item} is not in X')
    self.X = [new_item if each == old_item else each for each in self.X]
    return len(self.X)

change X:list items:samelist
{set,assign,replace,change,update,overwrite}_X {set,change}_X_to replace_all_X
puts items in the place of X -> the new size
    self.X = list(items)
    return len(self.X)

change X:list Y:samecontainer item:elem
{move,transfer,shift,pass,carry}_X_to_Y {move,transfer,shift,pass,take}_from_X_to_Y {move,shift,transfer}_X_{into,over_to}_Y
takes item out of X and adds it to Y ! item is not in X -> the new value of Y
    if item not in self.X:
        raise ValueError(f'{item} is not in X')
    self.X.remove(item)
    self.Y.append(item)
    return list(self.Y)

change X:list Y:samecontainer
{move,transfer}_{last,last_of}_X_to_Y
takes the last element out of X and adds it to Y ! X is empty -> the new value of Y
    if not self.X:
        raise ValueError('X is empty')
    self.Y.append(self.X.pop())
    return list(self.Y)

change X:list Y:samecontainer
{move,transfer,empty,pour,shift}_X_{to,into,over_to}_Y {move,transfer}_all_{X,from_X}_to_Y
adds all of X to Y and empties X -> the new value of Y
    self.Y.extend(self.X)
    self.X.clear()
    return list(self.Y)

change X:list Y:samecontainer
{add,append,merge,join}_X_{to,into}_Y extend_Y_{with,by}_X
adds all of X to the end of Y -> the new size of Y
    self.Y.extend(self.X)
    return len(self.Y)

read X:container
X_{length,size,count,len,total_count,cardinality} {length_of,count,size_of,number_of,how_many,count_of,len_of,amount_of,quantity_of,count_all,number_of_items_in,count_items_in,how_many_in,number_in}_X X_{number,item_count}
how many elements X has
    return len(self.X)

read X:list item:elem
{count,count_in,occurrences_in,count_of,occurrences_of,times_in,how_often_in,number_of}_X X_{count,count_of,occurrences,occurrences_of} count_in_X
how often item stands in X
    return self.X.count(item)

read X:list ! X is empty
{first,front,head,oldest,start_of,first_of,head_of,first_in,front_of,first_element_of}_X X_{first,head,front}
the first element of X
    if not self.X:
        raise ValueError('X is empty')
    return self.X[0]

read X:list ! X is empty
{last,final,latest,newest,tail,end_of,last_of,last_in,most_recent,last_element_of}_X X_{last,end,tail,peek} peek_X
the last element of X
    if not self.X:
        raise ValueError('X is empty')
    return self.X[-1]

read X:list ! it has no second
{second,second_of,second_in}_X X_second
the second element of X
    if len(self.X) < 2:
        raise ValueError('X has no second element')
    return self.X[1]

read X:list index:index ! there is no such place
{nth,nth_of,element_of,item_of}_X X_{at,at_index,number,nth,item,element} {element_at,item_at,nth_in}_X
the element at index in X
    if not 0 <= index < len(self.X):
        raise ValueError('no such place in X')
    return self.X[index]

read X:list size:small
{first,first_few,first_of,head_of}_X X_{head,first,start} {first}_n_X
the first elements of X
    return self.X[:size]

read X:list size:posint
{last,last_few,last_of,tail_of,latest,newest}_X X_{tail,last,end} last_n_X
the last elements of X
    return self.X[-size:]

read X:list
{rest_of,all_but_first,tail_of,remaining}_X X_{rest,without_first,after_first}
X without its first element
    return self.X[1:]

read X:list low:index high:index
{slice_of,part_of}_X X_{slice,from_to,part}
the elements of X from low up to high
    return self.X[low:high]

read X:list item:elem ! item is not in it
{position_in,index_in,where_in,index_of,position_of}_X X_{position_of,index_of,place_of,position,index}
where item stands in X
    if item not in self.X:
        raise ValueError(f'{item} is not in X')
    return self.X.index(item)

read X:scalars
{sorted,ordered,ascending,ranked,arranged}_X X_{sorted,in_order,ordered,ascending}
X in order
    return sorted(self.X)

read X:scalars
X_{descending,sorted_descending,in_falling_order,sorted_down} {descending,sorted_descending}_X
X in falling order
    return sorted(self.X, reverse=True)

read X:texts
X_{sorted_by_length,by_length} {sorted_by_length}_X
X in order of length
    return sorted(self.X, key=len)

read X:list
{reversed,backward,backwards,inverted,flipped,mirrored}_X X_{reversed,backwards,backward,in_reverse,in_reverse_order} reverse_of_X
X from back to front
    return list(reversed(self.X))

read X:scalars
{unique,distinct,different,deduplicated}_X X_{unique,distinct,without_duplicates,deduplicated,once}
the elements of X, each once
    return list(dict.fromkeys(self.X))

read X:scalars
{number_of_unique,number_of_distinct,count_unique,count_distinct,how_many_different,unique_count_of,count_of_distinct,number_of_different}_X X_{distinct_count,unique_count}
how many different elements X has
    return len(set(self.X))

read X:scalars
{duplicates_in,duplicated,duplicates_of,repeated,repeated_in}_X X_{duplicates,repeated}
the elements that stand in X more than once
    return [each for each in dict.fromkeys(self.X) if self.X.count(each) > 1]

read X:scalars
{counts_of,frequencies_of,tally_of,frequency_of,histogram_of,counts_in,frequencies_in}_X X_{counts,frequencies,histogram,tally}
how often each element stands in X
    return {each: self.X.count(each) for each in self.X}

read X:scalars ! X is empty
{most_common,most_frequent,mode_of,commonest,most_common_in,most_frequent_in}_X X_{mode,most_common,most_frequent}
the element that stands in X most often
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X, key=self.X.count)

read X:nums ! X is empty
{largest,biggest,greatest,highest,maximum,max,top,peak,best,most,record,largest_of,max_of,maximum_of,highest_of,highest_in,largest_in,greatest_in,maximum_in,biggest_in}_X X_{maximum,max,peak,highest,largest}
the largest of X
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X)

read X:nums ! X is empty
{smallest,lowest,least,minimum,min,worst,smallest_of,min_of,minimum_of,lowest_of,lowest_in,smallest_in,least_in,minimum_in}_X X_{minimum,min,lowest,smallest}
the smallest of X
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X)

read X:nums ! it has no second
{second_largest,second_highest,second_biggest,second_largest_of,second_largest_in,runner_up_in}_X X_{runner_up,second_largest}
the second largest of X
    if len(self.X) < 2:
        raise ValueError('X has no second element')
    return sorted(self.X)[-2]

read X:nums size:small
{largest,highest,biggest,top,best,greatest}_X X_{top,largest,highest}
the largest numbers of X
    return sorted(self.X, reverse=True)[:size]

read X:nums size:small
{smallest,lowest,least}_X X_{smallest,lowest,bottom}
the smallest numbers of X
    return sorted(self.X)[:size]

read X:nums
{total_of,sum_of,total,sum,overall,summed,grand_total_of,sum_of_all,total_of_all,sum_up,add_up,total_in,sum_in}_X X_{total,sum,in_total,summed,altogether,added_up}
the sum of X
    return sum(self.X)

read X:nums ! X is empty
{average,mean,average_of,mean_of,typical,average_in,mean_in,avg,avg_of}_X X_{average,mean,avg,on_average}
the mean of X
    if not self.X:
        raise ValueError('X is empty')
    return sum(self.X) / len(self.X)

read X:nums ! X is empty
{median,median_of,median_in,middle_value_of}_X X_median
the median of X
    if not self.X:
        raise ValueError('X is empty')
    return statistics.median(self.X)

read X:nums ! X is empty
{range_of,spread_of,span_of,range_in,spread_in}_X X_{range,spread,span}
the largest of X less the smallest
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X) - min(self.X)

read X:nums
{product_of,product_in,product_of_all}_X X_{product,multiplied}
the product of X
    return math.prod(self.X)

read X:nums ! there are fewer than two
{deviation_of,standard_deviation_of,stdev_of}_X X_{deviation,standard_deviation,stdev}
the standard deviation of X
    if len(self.X) < 2:
        raise ValueError('X has no second element')
    return statistics.stdev(self.X)

read X:nums limit:num
X_{above,over,greater_than,more_than,larger_than,higher_than,exceeding,bigger_than}
the elements of X above limit
    return [each for each in self.X if each > limit]

read X:nums limit:num
X_{below,under,less_than,smaller_than,lower_than}
the elements of X below limit
    return [each for each in self.X if each < limit]

read X:nums limit:num
X_{at_least,not_below,from}
the elements of X that are at least limit
    return [each for each in self.X if each >= limit]

read X:nums limit:num
X_{at_most,not_above,up_to}
the elements of X that are at most limit
    return [each for each in self.X if each <= limit]

read X:nums low:num high:num
X_{between,within,in_range}
the elements of X from low to high
    return [each for each in self.X if low <= each <= high]

read X:nums limit:num
{count,number_of,how_many,count_of}_X_{above,over,more_than} count_X_{greater_than,exceeding,larger_than}
how many elements of X are above limit
    return sum((each > limit for each in self.X))

read X:nums limit:num
{count,number_of,how_many,count_of}_X_{below,under,less_than} count_X_smaller_than
how many elements of X are below limit
    return sum((each < limit for each in self.X))

read X:nums limit:num
{total,sum,total_of,sum_of}_X_{above,over}
the sum of the elements of X above limit
    return sum((each for each in self.X if each > limit))

read X:ints
{even,even_in}_X X_{even,that_are_even}
the even numbers in X
    return [each for each in self.X if each % 2 == 0]

read X:ints
{odd,odd_in}_X X_{odd,that_are_odd}
the odd numbers in X
    return [each for each in self.X if each % 2 == 1]

read X:nums
{positive,positives_in}_X X_{positive,above_zero}
the elements of X above zero
    return [each for each in self.X if each > 0]

read X:nums
{negative,negatives_in}_X X_{negative,below_zero}
the elements of X below zero
    return [each for each in self.X if each < 0]

read X:nums
{doubled}_X X_doubled
the double of every number in X
    return [each * 2 for each in self.X]

read X:nums
{squared,squares_of}_X X_{squared,squares}
the square of every number in X
    return [each * each for each in self.X]

read X:nums
{rounded}_X X_rounded
X with every number rounded
    return [round(each) for each in self.X]

read X:nums factor:num
X_{times,multiplied_by,scaled_by,scaled,multiplied} {scaled,multiplied}_X
factor times every number in X
    return [each * factor for each in self.X]

read X:nums amount:num
X_{plus,increased_by,shifted_by} {increased,shifted}_X
every number in X plus amount
    return [each + amount for each in self.X]

read X:nums percent:num
{discounted,reduced}_X X_{discounted,after_discount}
every number in X less percent of itself
    return [each * (100 - percent) / 100 for each in self.X]

read X:nums
{running_total_of,running_totals_of,cumulative,running_sum_of,cumulative_sum_of,accumulated}_X X_{running_total,cumulated,running_sum,accumulated}
the sums of X so far
    return [sum(self.X[:i + 1]) for i in range(len(self.X))]

read X:nums
{differences_of,differences_in,changes_in,steps_in}_X X_{differences,changes,steps}
how far each number in X is from the one before
    return [y - x for x, y in zip(self.X, self.X[1:])]

read X:texts
{upper,uppercase,uppercased,shouted}_X X_{upper,uppercase,uppercased,in_capitals,in_upper_case}
X with every text in capitals
    return [each.upper() for each in self.X]

read X:texts
{lower,lowercase,lowercased}_X X_{lower,lowercase,lowercased,in_lower_case}
X with every text in small letters
    return [each.lower() for each in self.X]

read X:texts
{capitalized,titled}_X X_{capitalized,titled}
X with a capital at every text
    return [each.capitalize() for each in self.X]

read X:texts
{lengths_of,lengths_in,sizes_of}_X X_{lengths,sizes}
how long the texts in X are
    return [len(each) for each in self.X]

read X:texts ! X is empty
{longest,longest_of,longest_in}_X X_longest
the longest text in X
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X, key=len)

read X:texts ! X is empty
{shortest,shortest_of,shortest_in}_X X_shortest
the shortest text in X
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X, key=len)

read X:texts ! X is empty
{first_alphabetical,alphabetically_first,smallest,least,minimum,earliest}_X
the first of X in the order of the alphabet
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X)

read X:texts ! X is empty
{last_alphabetical,alphabetically_last,largest,greatest,maximum}_X
the last of X in the order of the alphabet
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X)

read X:texts
{joined,combined,concatenated}_X X_{joined,as_text,in_one_line,combined,together,as_sentence} text_of_X
the texts in X with blanks between
    return ' '.join(self.X)

read X:texts separator:sep
{joined,combined}_X X_{joined_by,joined_with,joined,separated_by} joined_X_{by,with}
the texts in X with separator between
    return separator.join(self.X)

read X:texts
X_{with_commas,separated_by_commas,comma_separated,as_csv} comma_separated_X
the texts in X with commas between
    return ', '.join(self.X)

read X:texts prefix:letter
X_{starting_with,beginning_with,with_prefix,that_start_with}
the texts in X that begin with prefix
    return [each for each in self.X if each.startswith(prefix)]

read X:texts suffix:letter
X_{ending_with,ending_in,with_suffix,that_end_with}
the texts in X that end with suffix
    return [each for each in self.X if each.endswith(suffix)]

read X:texts text:letter
X_{containing,with,that_contain,matching,that_have,including} {find,search}_X search_in_X
the texts in X that have text in them
    return [each for each in self.X if text in each]

read X:texts size:small
X_{longer_than,over_length}
the texts in X with more letters than size
    return [each for each in self.X if len(each) > size]

read X:texts size:small
X_{shorter_than,under_length}
the texts in X with fewer letters than size
    return [each for each in self.X if len(each) < size]

read X:texts
{total_length_of,letters_in,letter_count_of}_X X_total_length
how many letters the texts in X have together
    return sum((len(each) for each in self.X))

read X:texts
{initials_of,first_letters_of}_X X_{initials,first_letters}
the first letters of the texts in X
    return [each[0] for each in self.X if each]

read X:texts
X_by_{initial,first_letter} grouped_X {grouped}_X_by_initial
the texts in X grouped by first letter
    return {k: [each for each in self.X if each[:1] == k] for k in sorted({each[:1] for each in self.X})}

read X:list item:elem
X_{without,except,excluding,other_than,minus}
X without item
    return [each for each in self.X if each != item]

read X:list
{numbered,enumerated}_X X_{numbered,enumerated}
X with numbers from one
    return [[i, each] for i, each in enumerate(self.X, 1)]

read X:list
{every_other,alternate}_X X_{every_other}
every other element of X
    return self.X[::2]

read X:list size:posint
X_{in_groups_of,in_chunks_of,chunks,in_pages_of,chunked} {chunked,chunks_of,pages_of}_X
X cut into parts of size
    return [self.X[i:i + size] for i in range(0, len(self.X), size)]

read X:list ! X is empty
{middle,middle_of,center_of}_X X_middle
the middle element of X
    if not self.X:
        raise ValueError('X is empty')
    return self.X[len(self.X) // 2]

read X:listlist
{flat,flattened}_X X_{flat,flattened,flattened_out}
the elements of the lists in X
    return [each for row in self.X for each in row]

ask X:collection item:elem
{has,includes,is_in,contains,has_in,does_X_contain,does_X_include,is_there_in,knows}_X X_{contains,includes,has,contain,include} does_X_{contain,include,have} {is_among,is_one_of,is_member_of,is_part_of}_X
item is in X
    return item in self.X

ask X:collection item:elem
{lacks,misses,is_not_in,is_missing_in,is_missing_from}_X X_{lacks,misses}
item is not in X
    return item not in self.X

ask X:container
is_X_empty {are_X_empty,is_empty,has_no,no,are_there_no}_X X_{is_empty,empty,are_empty}
X is empty
    return not self.X

ask X:container
{has,has_any,any,is_there_any,are_there,are_there_any}_X is_X_{filled,not_empty} X_{available,exist}
X is not empty
    return bool(self.X)

ask X:container limit:small
has_more_X_than are_there_more_X_than {has_more_than}_X is_X_longer_than X_more_than_count
X has more elements than limit
    return len(self.X) > limit

ask X:container limit:small
has_fewer_X_than are_there_fewer_X_than is_X_shorter_than
X has fewer elements than limit
    return len(self.X) < limit

ask X:list limit:small
is_X_{full_at,full} {has_at_least}_X
X has at least limit elements
    return len(self.X) >= limit

ask X:scalars
is_X_{sorted,in_order,ordered,ascending} {are_X_sorted} X_{is_sorted,are_sorted}
X is in order
    return self.X == sorted(self.X)

ask X:scalars
is_X_{unique,distinct,without_duplicates} are_X_{unique,distinct} are_all_X_different
no element stands in X twice
    return len(set(self.X)) == len(self.X)

ask X:scalars
{has_duplicates_in,has_duplicate,has_repeated}_X X_{has_duplicates,have_duplicates} are_there_duplicates_in_X
an element stands in X more than once
    return len(set(self.X)) < len(self.X)

ask X:nums limit:num
{any,is_any,has_any,has}_X_{above,over,more_than,greater_than} is_there_X_above
an element of X is above limit
    return any((each > limit for each in self.X))

ask X:nums limit:num
{any,is_any,has_any,has}_X_{below,under,less_than}
an element of X is below limit
    return any((each < limit for each in self.X))

ask X:nums limit:num
{all,are_all,every,is_every}_X_{above,over,more_than,greater_than}
every element of X is above limit
    return all((each > limit for each in self.X))

ask X:nums limit:num
{all,are_all,every,is_every}_X_{below,under,less_than}
every element of X is below limit
    return all((each < limit for each in self.X))

ask X:nums
{are_all,all,is_every}_X_positive
every element of X is above zero
    return all((each > 0 for each in self.X))

ask X:bools
{are_all,all,every}_X_{true,done,set,on} all_X is_every_X_true
every element of X is true
    return all(self.X)

ask X:bools
{is_any,any}_X_{true,done,set,on}
an element of X is true
    return any(self.X)

read X:list Y:samecontainer
X_{and,plus,with,followed_by}_Y {all_of,combined,joined,concatenated,merged}_X_and_Y X_and_Y_{together,combined,joined,merged}
X and then Y
    return list(self.X) + list(self.Y)

read X:scalars Y:samecontainer
{common,shared,common_in,shared_in,intersection_of,overlap_of,both_in,in_both}_X_and_Y X_{also_in,in,that_are_in}_Y X_and_Y_{in_common,overlap,intersection}
the elements of X that are in Y too
    return [each for each in self.X if each in self.Y]

read X:scalars Y:samecontainer
X_{without,not_in,minus,except,missing_in,that_are_not_in}_Y {difference_of}_X_and_Y
the elements of X that are not in Y
    return [each for each in self.X if each not in self.Y]

read X:list Y:samecontainer
{pairs_of,zipped,paired}_X_and_Y X_{paired_with,zipped_with}_Y X_and_Y_{pairs,zipped}
X and Y side by side
    return [[x, y] for x, y in zip(self.X, self.Y)]

read X:nums Y:nums
{dot_product_of,scalar_product_of}_X_and_Y {sum_of_products_of}_X_and_Y
the sum of the products of X and Y
    return sum((x * y for x, y in zip(self.X, self.Y)))

ask X:list Y:samecontainer
is_X_longer_than_Y {more,has_more}_X_than_Y are_there_more_X_than_Y
X has more elements than Y
    return len(self.X) > len(self.Y)

ask X:scalars Y:samecontainer
{do_X_and_Y_overlap} X_{overlaps,overlap}_{with_Y,Y} {have}_X_and_Y_{common,anything_in_common}
an element of X is in Y too
    return any((each in self.Y for each in self.X))

read X:nums Y:num
X_{above,over,more_than}_Y
the elements of X above Y
    return [each for each in self.X if each > self.Y]

read X:nums Y:num
X_{below,under,less_than}_Y
the elements of X below Y
    return [each for each in self.X if each < self.Y]

ask X:list Y:num
is_X_{full,at_limit} is_X_at_Y has_X_reached_Y
X has at least as many elements as Y says
    return len(self.X) >= self.Y

change X:list Y:elemof
{add,append,push,put}_Y_{to,into,in,onto}_X
adds Y to the end of X -> the new size of X
    self.X.append(self.Y)
    return len(self.X)

ask X:scalars Y:elemof
is_Y_{in,among,part_of}_X does_X_{contain,include,have}_Y X_{contain,contains,include}_Y
Y is in X
    return self.Y in self.X

change X:set item:elem
{add,include,insert,register,enter,push,record,enrol,collect,admit}_X {add,insert}_to_X {add,append}_item_to_X
adds item to X -> the new size
    self.X.add(item)
    return len(self.X)

change X:set item:elem
{put,place,store}_{in,into}_X put_X
adds item to X -> item
    self.X.add(item)
    return item

change X:set items:samelist
{add_all,add_many}_{X,to_X} {extend,update}_X {extend,update}_X_{with,by} merge_into_X
adds all items to X -> the new size
    self.X.update(items)
    return len(self.X)

change X:set item:elem
{remove,delete,discard,drop,exclude,strike,kick,erase,dismiss,unregister}_X {remove,delete,drop,discard,strike,exclude}_from_X
removes item from X ! item is not in it -> the new size
    if item not in self.X:
        raise KeyError(f'{item} is not in X')
    self.X.remove(item)
    return len(self.X)

change X:set item:elem
{take,pull}_X {take,pull}_{from,out_of}_X
removes item from X ! item is not in it -> item
    if item not in self.X:
        raise KeyError(f'{item} is not in X')
    self.X.remove(item)
    return item

change X:set item:elem
{toggle,flip,switch}_{X,in_X}
adds item to X or removes it if it is there -> the new size
    if item in self.X:
        self.X.remove(item)
    else:
        self.X.add(item)
    return len(self.X)

read X:set
{sorted,ordered,listed,arranged}_X X_{sorted,in_order,ordered,as_list} list_of_X
the elements of X in order
    return sorted(self.X)

read X:setnum ! X is empty
{largest,biggest,greatest,highest,maximum,max}_X X_{maximum,max,highest}
the largest of X
    if not self.X:
        raise ValueError('X is empty')
    return max(self.X)

read X:setnum ! X is empty
{smallest,lowest,least,minimum,min}_X X_{minimum,min,lowest}
the smallest of X
    if not self.X:
        raise ValueError('X is empty')
    return min(self.X)

read X:setnum
{total_of,sum_of,total,sum}_X X_{total,sum}
the sum of X
    return sum(self.X)

read X:settext ! X is empty
{longest,longest_of,longest_in}_X X_longest
the longest text in X
    if not self.X:
        raise ValueError('X is empty')
    return max(sorted(self.X), key=len)

read X:set Y:sameset
{common,shared,intersection_of,overlap_of}_X_and_Y X_{also_in,in}_Y X_and_Y_{in_common,intersection}
the elements of X that are in Y too, in order
    return sorted(self.X & self.Y)

read X:set Y:sameset
{union_of,all_of,combined,joined,merged}_X_and_Y X_{and,or,plus,with}_Y X_and_Y_{together,union}
the elements of X and Y, in order
    return sorted(self.X | self.Y)

read X:set Y:sameset
X_{without,not_in,minus,except}_Y difference_of_X_and_Y
the elements of X that are not in Y, in order
    return sorted(self.X - self.Y)

ask X:set Y:sameset
is_X_{subset_of,in,within,part_of,a_subset_of}_Y does_Y_{contain,include}_X
every element of X is in Y
    return self.X <= self.Y
"""
